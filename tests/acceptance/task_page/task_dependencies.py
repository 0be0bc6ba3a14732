from datetime import datetime, timedelta
from closingbell import Task

class DependentTask(Task):

    def __init__(self, prerequisite_tasks):
        super().__init__(name="dependent_task", interval="1h")
        self.prerequisite_tasks = prerequisite_tasks

    def run(self, algorithm):
        """Only run if prerequisite tasks completed successfully"""

        # Check if prerequisites are met
        if not self.prerequisites_met(algorithm):
            print("Prerequisites not met - skipping task")
            return

        # Execute task logic
        self.execute_task(algorithm)

    def prerequisites_met(self, algorithm):
        """Check if prerequisite tasks completed successfully"""

        task_status = algorithm.get_task_status()

        for prereq_task in self.prerequisite_tasks:
            status = task_status.get(prereq_task, {})

            if status.get('last_error'):
                return False

            # Check if task ran recently
            last_run = status.get('last_run')
            if not last_run or (datetime.now() - last_run) > timedelta(hours=2):
                return False

        return True
