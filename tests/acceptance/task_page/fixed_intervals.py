from closingbell import Task

# Run every 5 minutes
class MarketDataTask(Task):
    def __init__(self):
        super().__init__(
            name="market_data_collection",
            interval="5m"
        )

# Run every hour
class PortfolioReportTask(Task):
    def __init__(self):
        super().__init__(
            name="portfolio_report",
            interval="1h"
        )

# Run daily
class BackupTask(Task):
    def __init__(self):
        super().__init__(
            name="daily_backup",
            interval="daily",
            time="23:30"
        )
