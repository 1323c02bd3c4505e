"""The dashboard: pages rendered here, readable without JavaScript. Rules are asked of the services, never kept here."""
