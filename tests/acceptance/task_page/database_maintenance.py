from datetime import datetime, timedelta
from closingbell import Task

class DatabaseMaintenanceTask(Task):

    def __init__(self):
        super().__init__(
            name="database_maintenance",
            interval="daily",
            time="03:00" # 3 AM daily
        )

    def run(self, algorithm):
        """Perform database maintenance tasks"""

        print("Starting database maintenance...")

        # Archive old data
        self.archive_old_data(algorithm)

        # Optimize database
        self.optimize_database(algorithm)

        # Backup database
        self.backup_database(algorithm)

        print("Database maintenance completed")

    def archive_old_data(self, algorithm):
        """Archive old market data and trades"""

        cutoff_date = datetime.now() - timedelta(days=365)

        # Archive old trades
        old_trades = algorithm.get_trades(before_date=cutoff_date)
        if old_trades:
            algorithm.archive_trades(old_trades)
            print(f"Archived {len(old_trades)} old trades")

        # Archive old market data
        algorithm.archive_market_data(before_date=cutoff_date)

    def optimize_database(self, algorithm):
        """Optimize database performance"""

        # Rebuild indices
        algorithm.rebuild_database_indices()

        # Update statistics
        algorithm.update_database_statistics()

        print("Database optimization completed")

    def backup_database(self, algorithm):
        """Create database backup"""

        timestamp = datetime.now().strftime("%Y%m%d_%H%M%S")
        backup_path = f"/backups/trading_db_backup_{timestamp}.sql"

        algorithm.backup_database(backup_path)
        print(f"Database backed up to {backup_path}")
