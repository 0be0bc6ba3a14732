from closingbell import Task

class ConditionalRebalanceTask(Task):

    def __init__(self):
        super().__init__(
            name="conditional_rebalance",
            interval="1h"
        )

    def run(self, algorithm):
        """Only rebalance if conditions are met"""

        # Check if rebalancing is needed
        if not self.should_rebalance(algorithm):
            return

        print("Rebalancing conditions met - executing rebalance")
        self.execute_rebalance(algorithm)

    def should_rebalance(self, algorithm):
        """Check if rebalancing conditions are met"""

        positions = algorithm.get_positions()
        portfolio = algorithm.get_portfolio()
        total_value = portfolio.get_total_value()

        # Check if any position deviates more than 5% from target
        target_weights = {"BTC": 0.5, "ETH": 0.3, "ADA": 0.2}

        for symbol, target_weight in target_weights.items():
            position = next(
                (p for p in positions if p.symbol.startswith(symbol)),
                None
            )

            current_weight = (position.current_value / total_value) if position else 0

            if abs(current_weight - target_weight) > 0.05:
                return True

        return False

    def execute_rebalance(self, algorithm):
        """Execute portfolio rebalancing"""
        # Implementation for rebalancing logic
        pass
