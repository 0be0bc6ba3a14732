from closingbell import Task

class RiskManager(Task):

    def __init__(self, max_drawdown=0.15, max_position_size=0.1):
        super().__init__(
            name="risk_manager",
            interval="1m" # Check risk every minute
        )
        self.max_drawdown = max_drawdown
        self.max_position_size = max_position_size

    def run(self, algorithm):
        """Monitor and enforce risk limits"""

        # Check portfolio drawdown
        self.check_drawdown(algorithm)

        # Check position sizes
        self.check_position_sizes(algorithm)

        # Check correlation exposure
        self.check_correlation_risk(algorithm)

    def check_drawdown(self, algorithm):
        """Check if portfolio drawdown exceeds limit"""

        portfolio = algorithm.get_portfolio()
        peak_value = portfolio.get_peak_value()
        current_value = portfolio.get_total_value()

        drawdown = (peak_value - current_value) / peak_value

        if drawdown > self.max_drawdown:
            # Emergency risk reduction
            self.reduce_risk(algorithm, f"Drawdown {drawdown:.2%} exceeds limit")

    def check_position_sizes(self, algorithm):
        """Check if any position is too large"""

        portfolio = algorithm.get_portfolio()
        positions = algorithm.get_positions()
        total_value = portfolio.get_total_value()

        for position in positions:
            position_weight = position.current_value / total_value

            if position_weight > self.max_position_size:
                # Reduce oversized position
                target_symbol = position.symbol.split('/')[0]
                excess_percentage = position_weight - self.max_position_size

                algorithm.create_sell_order(
                    target_symbol=target_symbol,
                    percentage=excess_percentage / position_weight,
                    order_type="MARKET"
                )

                print(f"Reduced oversized position: {position.symbol}")

    def reduce_risk(self, algorithm, reason):
        """Emergency risk reduction"""

        print(f"RISK ALERT: {reason}")
        print("Implementing risk reduction measures...")

        # Cancel all open orders
        algorithm.cancel_all_orders()

        # Reduce position sizes by 50%
        positions = algorithm.get_positions()
        for position in positions:
            target_symbol = position.symbol.split('/')[0]
            algorithm.create_sell_order(
                target_symbol=target_symbol,
                percentage=0.5,
                order_type="MARKET"
            )

        print("Risk reduction completed")
