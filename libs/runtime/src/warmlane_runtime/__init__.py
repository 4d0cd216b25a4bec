"""What every Warmlane process needs before it does its own work.

| module | noun |
|---|---|
| `settings` | what the environment says, read once, frozen |
| `logging` | events as JSON lines, with bound context |
| `redaction` | what must never reach a log, an error or a metric |
| `lifecycle` | a part that starts and stops |
| `tasks` | background tasks that must not end unseen |
| `service` | a process: its parts, its signals, its exit code |
| `health` | `/livez`, `/readyz`, `/metrics` without a web framework |
| `tracecontext` | W3C trace context |
| `faults` | places where a test may kill the process |
| `clock` | time, injected |

Nothing is imported here, so that a process pays only for what it uses.
"""
