from datetime import datetime, timedelta
from closingbell import Task

class TaskMonitor(Task):

    def __init__(self):
        super().__init__(
            name="task_monitor",
            interval="10m"
        )
        self.task_history = {}

    def run(self, algorithm):
        """Monitor other tasks for failures"""

        # Get task execution history
        task_status = algorithm.get_task_status()

        for task_name, status in task_status.items():
            if status.get('last_error'):
                print(f"Task {task_name} failed: {status['last_error']}")

            # Check if task is overdue
            last_run = status.get('last_run')
            if last_run:
                time_since_run = datetime.now() - last_run
                if time_since_run > timedelta(hours=2): # Configurable threshold
                    print(f"Task {task_name} is overdue (last run: {last_run})")
