from closingbell import Task

class PortfolioMonitor(Task):

    def __init__(self, alert_manager):
        super().__init__(
            name="portfolio_monitor",
            interval="5m"
        )
        self.alert_manager = alert_manager

    def run(self, algorithm):
        """Monitor portfolio health and send alerts"""

        portfolio = algorithm.get_portfolio()
        positions = algorithm.get_positions()

        # Check total portfolio value
        total_value = portfolio.get_total_value()
        initial_value = portfolio.get_initial_value()

        pnl_percentage = (total_value - initial_value) / initial_value * 100

        # Alert on significant changes
        if pnl_percentage < -10:
            self.alert_manager.send_alert(
                f"Portfolio down {abs(pnl_percentage):.2f}%",
                severity="WARNING"
            )
        elif pnl_percentage > 20:
            self.alert_manager.send_alert(
                f"Portfolio up {pnl_percentage:.2f}%",
                severity="INFO"
            )

        # Check individual positions
        self.check_position_alerts(positions)

    def check_position_alerts(self, positions):
        """Check for position-specific alerts"""

        for position in positions:
            # Alert on large positions
            if position.current_value > 5000:
                print(f"Large position alert: {position.symbol} = ${position.current_value:.2f}")
