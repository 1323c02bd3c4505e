"""Durable orchestration: thin generators that interpret what approvals/ decides and ask activities/ for effects."""
