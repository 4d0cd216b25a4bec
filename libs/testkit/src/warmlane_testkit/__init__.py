"""For tests only; nothing that ships imports it.

| module | noun |
|---|---|
| `fake_bus`, `fake_stream`, `fake_pull`, `fake_bucket` | the broker in memory, with the semantics that matter |
| `fake_objects` | the object store in memory |
| `conformance` | the suites that fakes and real servers both have to pass |
| `fixtures` | a pytest plugin: real servers, started once per session |
| `clock` | a clock that stands until told |
| `builders` | messages and records with every field filled in |
| `waiting` | wait for a condition, with a deadline |

Importing a module here needs no server, no database driver and no web framework.
"""
