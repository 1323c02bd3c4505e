#!/bin/sh
# A stranger's script: asks for the refund of an order, waits, pays once. A new run goes on with the same key.
order=$1 ledger=$2
while [ ! -e "$ledger/$order.end" ]; do
  "$PYTHON" -m bot.cli ask "Refund order $order" --kind refund --amount 250 --currency EUR --key "refund:$order" >/dev/null 2>&1
  code=$?
  case $code in
    0) [ -s "$ledger/$order.paid" ] || echo paid >>"$ledger/$order.paid"; echo refunded >"$ledger/$order.end" ;;
    10 | 11 | 12 | 14 | 15 | 16) echo "exit-$code" >"$ledger/$order.end" ;;
    *) echo "exit-$code" >"$ledger/$order.problem"; sleep 0.3 ;;
  esac
done
