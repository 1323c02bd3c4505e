"""Everything that people and programs touch: Slack, REST, the dashboard, the command line. app.py wires it all."""
