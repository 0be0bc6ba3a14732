"""`metrics`: the store's figures as Prometheus reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from closingbell.cli.failure import guarded
from closingbell.cli.option import AppTarget, AsJson, DatabaseAddress, Debug, ServiceUrl, TokenFile


@guarded
def metrics(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write to this file, whole or not at all, instead of stdout: for a node"
            " exporter's textfile collector its name ends in .prom.",
        ),
    ] = None,
    url: ServiceUrl = None,
    token_file: TokenFile = None,
    app_target: AppTarget = None,
    database: DatabaseAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the store's figures in Prometheus' text format."""
    import sys

    from closingbell.cli.desk_access import desk, find_place
    from closingbell.store.whole_file import written as written_whole

    with desk(find_place(url, token_file, app_target, database), as_json) as (client, _):
        text = client.figures.metrics()
    written = _samples(text) if as_json else text.encode()
    if out is None:
        sys.stdout.write(written.decode())
    else:
        with written_whole(out) as part:
            part.write_bytes(written)


def _samples(text: str) -> bytes:
    """Return the samples of a text in Prometheus' format as one JSON document."""
    import msgspec
    from prometheus_client.parser import text_string_to_metric_families

    samples = [
        {"name": sample.name, "labels": sample.labels, "value": sample.value}
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    return msgspec.json.encode({"samples": samples}) + b"\n"
