from datetime import datetime
from closingbell import Task

class PerformanceReporter(Task):

    def __init__(self, report_email=None):
        super().__init__(
            name="performance_reporter",
            interval="daily",
            time="18:00" # 6 PM daily
        )
        self.report_email = report_email

    def run(self, algorithm):
        """Generate and send daily performance report"""

        # Calculate daily metrics
        daily_metrics = self.calculate_daily_metrics(algorithm)

        # Generate report
        report = self.generate_report(daily_metrics)

        # Send report
        if self.report_email:
            self.send_report_email(report)

        print("Daily performance report generated")

    def calculate_daily_metrics(self, algorithm):
        """Calculate daily performance metrics"""

        portfolio = algorithm.get_portfolio()
        trades = algorithm.get_trades()

        # Get today's trades
        today = datetime.now().date()
        today_trades = [
            t for t in trades
            if t.created_at.date() == today
        ]

        metrics = {
            "portfolio_value": portfolio.get_total_value(),
            "daily_trades": len(today_trades),
            "daily_volume": sum(t.cost for t in today_trades),
            "daily_fees": sum(t.fee for t in today_trades),
            "open_positions": len(algorithm.get_positions())
        }

        return metrics

    def generate_report(self, metrics):
        """Generate formatted report"""

        report = f"""
        Daily Trading Report - {datetime.now().strftime('%Y-%m-%d')}
        =====================================================

        Portfolio Value: ${metrics['portfolio_value']:,.2f}

        Daily Activity:
        - Trades: {metrics['daily_trades']}
        - Volume: ${metrics['daily_volume']:,.2f}
        - Fees: ${metrics['daily_fees']:,.2f}
        - Open Positions: {metrics['open_positions']}

        Generated at: {datetime.now().strftime('%Y-%m-%d %H:%M:%S')}
        """

        return report
