"""Conditions and ranges of a finished clip, as RFC 9110 reads them."""

import pytest

CLIP = b"0123456789"


@pytest.fixture
async def clip(submit, status, lane) -> str:
    task_id = await submit()
    await lane.make()
    await status(task_id, "done")
    return f"/results/{task_id}"


async def test_a_head_tells_all_but_the_bytes(client, clip) -> None:
    whole, head = await client.get(clip), await client.head(clip)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges", "content-disposition", "cache-control"):
        assert head.headers[name] == whole.headers[name]
    part = await client.head(clip, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.headers["content-length"]) == (206, "3")
    assert (await client.head("/results/01KE0000000000000000000000")).status_code == 404


@pytest.mark.parametrize("written", ["{}", "W/{}", '"other", {}', "*"])
async def test_a_version_that_is_known_is_not_sent_again(client, clip, written) -> None:
    etag = (await client.get(clip)).headers["etag"]
    answer = await client.get(clip, headers={"If-None-Match": written.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert (await client.get(clip, headers={"If-None-Match": '"other"'})).content == CLIP


@pytest.mark.parametrize("outside", ["bytes=10-", "bytes=10-20", "bytes=-0"])
async def test_a_range_outside_the_file_is_refused_with_its_size(client, clip, outside) -> None:
    answer = await client.get(clip, headers={"Range": outside})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */10"
    assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]


@pytest.mark.parametrize("senseless", ["bytes=5-2", "bytes=-", "bytes=a-b", "lines=0-1"])
async def test_a_range_that_makes_no_sense_is_as_good_as_none(client, clip, senseless) -> None:
    answer = await client.get(clip, headers={"Range": senseless})
    assert (answer.status_code, answer.content) == (200, CLIP)


async def test_a_part_is_sent_only_of_the_version_it_continues(client, clip) -> None:
    etag = (await client.get(clip)).headers["etag"]
    same = await client.get(clip, headers={"Range": "bytes=8-", "If-Range": etag})
    assert (same.status_code, same.content) == (206, b"89")
    other = await client.get(clip, headers={"Range": "bytes=8-", "If-Range": '"other"'})
    assert (other.status_code, other.content) == (200, CLIP)
