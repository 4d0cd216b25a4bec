"""Sign-in links and sessions in PostgreSQL. Every question goes to the database: a session that was ended is refused at
once, and one whose key was revoked as well.
"""

from datetime import timedelta

from warmlane_storage.postgres import Postgres

from warmlane_gateway.domain.apikey import Caller
from warmlane_gateway.domain.session import LINK_LIVES, SESSION_LIVES, Session, new_token, token_hash

_OPEN = """
with link as (delete from sign_in_links where hash = $1 and expires_at > now() returning key_id)
insert into sessions (hash, key_id, expires_at)
select $2, key_id, now() + $3::interval from link join api_keys using (key_id) where revoked_at is null
returning key_id
"""

_FIND = """
select key_id, name, operator, expires_at, expires_at > now() as valid
from sessions join api_keys using (key_id) where sessions.hash = $1 and revoked_at is null
"""


class Sessions:
    """Lets people in, recognises them, and lets them out."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def new_link(self, key_id: str) -> str:
        """Return the token of a new link: good once, within 15 minutes, for whoever has it."""
        token = new_token()
        async with self._postgres.connection() as connection:
            await connection.execute(
                "insert into sign_in_links (hash, key_id, expires_at) values ($1, $2, now() + $3::interval)",
                token_hash(token),
                key_id,
                LINK_LIVES,
            )
        return token

    async def open(self, link: str) -> str | None:
        """Use a link up; return a new session's token, None when the link is unknown, used or too old."""
        token = new_token()
        async with self._postgres.connection() as connection:
            opened = await connection.fetchval(_OPEN, token_hash(link), token_hash(token), SESSION_LIVES)
        return token if opened else None

    async def find(self, token: str) -> tuple[Session | None, bool]:
        """Return the session, and whether there was one that is over by its age."""
        async with self._postgres.connection() as connection:
            row = await connection.fetchrow(_FIND, token_hash(token))
        if row is None:
            return None, False
        if not row["valid"]:
            return None, True
        return Session(Caller(row["key_id"], row["name"], row["operator"]), row["expires_at"]), False

    async def end(self, token: str) -> None:
        """End a session. One that is not there has ended already."""
        async with self._postgres.connection() as connection:
            await connection.execute("delete from sessions where hash = $1", token_hash(token))

    async def forget(self, *, kept: timedelta = timedelta(days=7)) -> None:
        """Delete links and sessions that are long over."""
        async with self._postgres.connection() as connection:
            await connection.execute("delete from sign_in_links where expires_at < now()")
            await connection.execute("delete from sessions where expires_at < now() - $1::interval", kept)
