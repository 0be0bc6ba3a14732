from closingbell import Task

class DataCleanupTask(Task):

    def __init__(self):
        super().__init__(
            name="data_cleanup",
            interval="daily", # Run daily
            time="02:00" # Run at 2 AM
        )

    def run(self, algorithm):
        """Task execution logic"""
        print("Running data cleanup task...")

        # Cleanup old data
        self.cleanup_old_market_data()

        # Compact database
        self.compact_database()

        print("Data cleanup completed")

    def cleanup_old_market_data(self):
        # Implementation for data cleanup
        pass

    def compact_database(self):
        # Implementation for database optimization
        pass

from closingbell import create_app

app = create_app()

# Register the task
app.add_task(DataCleanupTask())

# Start the app (tasks will run automatically)
app.start()
