from closingbell import Task

class WeeklyReportTask(Task):
    def __init__(self):
        super().__init__(
            name="weekly_report",
            cron="0 9 * * MON" # Every Monday at 9 AM
        )

class MonthlyRebalanceTask(Task):
    def __init__(self):
        super().__init__(
            name="monthly_rebalance",
            cron="0 0 1 * *" # First day of each month
        )
