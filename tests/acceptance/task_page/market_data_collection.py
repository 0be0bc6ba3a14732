from closingbell import Task

class MarketDataCollector(Task):

    def __init__(self, symbols, data_provider):
        super().__init__(
            name="market_data_collector",
            interval="1m" # Collect every minute
        )
        self.symbols = symbols
        self.data_provider = data_provider

    def run(self, algorithm):
        """Collect market data for specified symbols"""

        for symbol in self.symbols:
            try:
                # Fetch latest data
                data = self.data_provider.get_latest_data(symbol)

                # Store in database
                algorithm.store_market_data(symbol, data)

                print(f"Collected data for {symbol}")

            except Exception as e:
                print(f"Failed to collect data for {symbol}: {e}")
