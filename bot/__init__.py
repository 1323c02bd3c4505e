"""Everything that people and programs touch: Slack, REST, the dashboard, the command line. services.py wires it all."""
