from closingbell import Task

class ResourceAwareTask(Task):

    def run(self, algorithm):
        """Task that monitors resource usage"""

        # Check system resources before running
        if not self.has_sufficient_resources():
            print("Insufficient resources - skipping task execution")
            return

        # Execute task logic
        self.execute_heavy_computation()

    def has_sufficient_resources(self):
        """Check if system has sufficient resources"""
        import psutil

        # Check memory usage
        memory_percent = psutil.virtual_memory().percent
        if memory_percent > 90:
            return False

        # Check CPU usage
        cpu_percent = psutil.cpu_percent(interval=1)
        if cpu_percent > 95:
            return False

        return True
