import time
from closingbell import Task

class RobustTask(Task):

    def __init__(self):
        super().__init__(name="robust_task", interval="5m")
        self.max_retries = 3
        self.retry_delay = 30 # seconds

    def run(self, algorithm):
        """Run task with error handling and retries"""

        for attempt in range(self.max_retries):
            try:
                self.execute_task_logic(algorithm)
                return # Success, exit retry loop

            except Exception as e:
                print(f"Task attempt {attempt + 1} failed: {e}")

                if attempt < self.max_retries - 1:
                    time.sleep(self.retry_delay)
                else:
                    print(f"Task failed after {self.max_retries} attempts")
                    self.handle_task_failure(e)

    def execute_task_logic(self, algorithm):
        """Main task logic that might fail"""
        # Implementation here
        pass

    def handle_task_failure(self, error):
        """Handle permanent task failure"""
        # Log error, send alerts, etc.
        pass
