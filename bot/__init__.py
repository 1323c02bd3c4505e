"""Everything that people and programs touch: Slack, REST, the dashboard, the command line. services/ wires it all."""
