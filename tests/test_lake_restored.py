"""The drill of docs/lake.md: a lake's catalog dumped, its files copied after it, both put back, and a worker that reads on."""

import shutil

import pytest

from streams.settings import Settings
from streams.topics import ensure_topics
from tests.lake_line import lake_line
from tests.test_lake_faults import assert_exact, begun, sent

pytestmark = pytest.mark.faults


def test_a_lake_put_back_from_a_dump_and_a_later_copy_of_its_files_reads_on_to_the_same_rows(kafka, topics):
    base = Settings(kafka=kafka.bootstrap, topic_prefix=topics, clock="replay", batch_rows=2_000, batch_seconds=0.2)
    ensure_topics(base)
    with lake_line(base, 2) as line:
        total = sent(line, begun(line, 0.03))
        line.wait(lambda: line.counted() > total // 4)
        dump, data = str(line.postgres.folder / "lake.dump"), line.folder / "data"
        address = ("--host", "127.0.0.1", "--port", str(line.postgres.port), "--username", "onnuri")
        line.postgres.run("pg_dump", *address, "--format", "custom", "--file", dump, "lake")
        line.wait(lambda: line.counted() > total // 2)
        shutil.copytree(data, line.folder / "copy")
        line.wait(lambda: line.counted() >= total, 300)
        for worker in line.workers:
            worker.kill()
        shutil.rmtree(data)
        shutil.rmtree(line.settings.published_folder)
        line.postgres.sql("DROP DATABASE lake WITH (FORCE)", "postgres")
        line.postgres.sql("CREATE DATABASE lake", "postgres")
        line.postgres.run("pg_restore", *address, "--dbname", "lake", dump)
        (line.folder / "copy").rename(data)
        assert total // 4 < line.counted() < total, "nothing is left to read: the test shows nothing"
        for worker in line.workers:
            worker.start()
        line.wait(lambda: line.counted() >= total, 300)
        assert_exact(line, total)
