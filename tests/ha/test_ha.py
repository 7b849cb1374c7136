"""The example cluster's files and refusals, and the harness that breaks it: what `make test-ha` rests on."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from examples.ha import __main__ as verbs
from examples.ha import cluster, layout
from examples.ha.cluster import Cluster
from examples.ha.layout import ClusterError, Layout
from examples.ha.processes import Processes, Seen, children, seen
from tests.faults.harness import checker
from tests.faults.harness.farm import IdleFarm
from tests.faults.harness.journal import Account, Line, Writer
from tests.ha import __main__ as harness
from tests.ha.events import sequence
from tests.ha.watch import Watch

MACHINE = "n1/patroni.yml"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything runs as whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def number(name: str, text: str) -> int:
    found = re.search(rf"^ *{name}: (\d+)$", text, re.MULTILINE)
    assert found is not None, name
    return int(found[1])


# ---------------------------------------------------------------------------------- the files


def test_a_primary_is_deposed_no_sooner_than_etcd_may_take(tmp_path: Path) -> None:
    text = Layout(tmp_path).configuration()[MACHINE]
    assert number("ttl", text) >= number("loop_wait", text) + 2 * number("retry_timeout", text)
    assert number("ttl", text) >= 20, "Patroni takes no less"
    assert number("primary_start_timeout", text) == 0
    assert "\n    failsafe_mode: true\n" in text


@pytest.mark.parametrize("synchronous", [True, False])
def test_commits_wait_for_a_standby_unless_told_otherwise(synchronous: bool, tmp_path: Path) -> None:
    text = Layout(tmp_path, synchronous=synchronous).configuration()[MACHINE]
    assert f"\n    synchronous_mode: {str(synchronous).lower()}\n" in text


def test_everything_listens_on_loopback_and_on_a_port_of_its_own(tmp_path: Path) -> None:
    made = Layout(tmp_path, 30_000)
    files = made.configuration()
    assert sorted(files) == sorted(["haproxy.cfg", *(f"n{n}/{f}.yml" for n in (1, 2, 3) for f in ("etcd", "patroni"))])
    hosts = {found for text in files.values() for found in re.findall(r"(\d+\.\d+\.\d+\.\d+)", text)}
    assert hosts == {"127.0.0.1"}
    assert len(set(made.ports())) == len(made.ports()) == 15
    assert not any("$" in text for text in files.values())


def test_a_primary_that_wakes_up_does_not_take_the_key_back(tmp_path: Path) -> None:
    """Patroni 3.0.2 would, over `etcd3`."""
    files = Layout(tmp_path).configuration()
    assert "\netcd:\n" in files[MACHINE]
    assert "\netcd3:" not in files[MACHINE]
    assert "\nenable-v2: true" in files["n1/etcd.yml"]


def test_a_client_of_a_deposed_primary_is_cut_off(tmp_path: Path) -> None:
    assert "on-marked-down shutdown-sessions" in Layout(tmp_path).configuration()["haproxy.cfg"]


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    haproxy = shutil.which("haproxy", path=layout.SEARCH_PATH)
    if haproxy is None:
        pytest.skip("haproxy is not installed")
    path = tmp_path / "haproxy.cfg"
    path.write_text(Layout(tmp_path).configuration()["haproxy.cfg"])
    done = subprocess.run([haproxy, "-c", "-f", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_passwords_are_made_up_and_for_the_owner_only(tmp_path: Path, own: None) -> None:
    first, second = Layout(tmp_path / "a"), Layout(tmp_path / "b")
    assert first.passwords.keys() == second.passwords.keys()
    assert not set(first.passwords.values()) & set(second.passwords.values())
    first.save()
    secret = [path for path in first.folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}
    assert first.passwords["tillwire"] not in first.url()
    assert layout.load(first.folder) == first


# ---------------------------------------------------------------------------------- refusals


def test_what_is_missing_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "missing_packages", lambda: ["etcd-server", "patroni"])
    with pytest.raises(ClusterError, match=r"on Debian 12: apt-get install etcd-server patroni\.$"):
        Cluster.up(Layout(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_package_is_missing_where_its_program_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "PROGRAMS", {"sh": "dash", "no-such-program": "some-package"})
    assert layout.missing_packages() == ["some-package"]


def test_a_port_in_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "missing_packages", list)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(ClusterError, match=f"Something listens on port {port} already"):
            Cluster.up(Layout(tmp_path / "new", port))


def test_a_second_cluster_in_one_folder_is_refused(tmp_path: Path, own: None) -> None:
    Layout(tmp_path / "here").save()
    with pytest.raises(ClusterError, match="is there already; run the verb `down` first"):
        Layout(tmp_path / "here").save()


@pytest.mark.needs_root
def test_a_folder_that_the_programs_cannot_reach_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not layout.POSTGRES_BIN.exists():
        pytest.skip("needs root and PostgreSQL's user")
    tmp_path.chmod(0o700)
    with pytest.raises(ClusterError, match="postgres cannot look into"):
        Layout(tmp_path / "here").save()
    assert not (tmp_path / "here").exists()


def test_a_verb_without_a_cluster_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs.main(["--folder", str(tmp_path), "list"]) == verbs.CANNOT
    assert f"There is no cluster in {tmp_path}; start one with the verb `up`." in capsys.readouterr().err


def test_what_fails_on_the_way_up_is_taken_down(tmp_path: Path, own: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "missing_packages", list)
    monkeypatch.setattr(cluster, "ports_in_use", lambda _: [])
    monkeypatch.setattr(Cluster, "start_machine", lambda own, n: own._processes.start(f"p{n}", "sleep", "60"))
    monkeypatch.setattr(Cluster, "wait", lambda _: cluster.wait_for(lambda: False, "nothing", 0))
    monkeypatch.setattr(Processes, "start", start_sleeper(Processes.start))
    with pytest.raises(ClusterError, match="Waited 0 s for nothing"):
        Cluster.up(Layout(tmp_path / "new"))
    ended = Processes(tmp_path / "new")
    assert ended.names() == ["haproxy", "p1", "p2", "p3"]
    assert [ended.find(name) for name in ended.names()] == [None] * 4


def start_sleeper(start: object) -> object:
    """Whatever is to be started, `sleep` is."""
    return lambda own, name, *_: start(own, name, "sleep", "60")  # type: ignore[operator]


def test_the_primary_is_who_says_so(tmp_path: Path, own: None, monkeypatch: pytest.MonkeyPatch) -> None:
    members: list[dict[str, object]] = [
        {"name": "n1", "role": "sync_standby", "state": "running", "lag": 0},
        {"name": "n2", "role": "leader", "state": "running"},
        {"name": "n3", "role": "replica", "state": "stopped", "lag": "unknown"},
    ]
    (tmp_path / "c").mkdir()
    found = Cluster(Layout(tmp_path / "c"))

    def ask(_: Cluster, machine: int, path: str) -> str:
        if machine == 1:
            raise ConnectionRefusedError
        return json.dumps({"members": members})

    monkeypatch.setattr(Cluster, "_ask", ask)
    assert found.primary() == 2
    assert [member.lag for member in found.members()] == [0, None, None]
    for standbys, is_healthy in (("n1|sync\nn3|async", True), ("n1|async\nn3|sync", False), ("n1|sync", False)):
        monkeypatch.setattr(Cluster, "_sql", lambda *_, said=standbys, **__: said)
        assert found.is_healthy() == is_healthy
    members[1]["role"] = "replica"
    with pytest.raises(ClusterError, match="There is no primary at the moment"):
        found.primary()
    monkeypatch.setattr(Cluster, "_ask", lambda *_: "not json")
    assert found.members() == []


@pytest.mark.parametrize("left", [None, "", "1\n", "999999999\n"])
def test_only_a_postmaster_in_the_machines_folder_is_one(left: str | None, tmp_path: Path) -> None:
    made = Layout(tmp_path)
    data = made.machine(1) / "data"
    data.mkdir(parents=True)
    if left is not None:
        (data / "postmaster.pid").write_text(left)
    with pytest.raises(ClusterError, match="PostgreSQL does not run on machine 1"):
        Cluster(made).postmaster(1)


# ---------------------------------------------------------------------------------- processes


@pytest.fixture
def started(tmp_path: Path, own: None) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    processes.start("one", "sleep", "60")
    yield processes
    processes.end(map(processes.find, processes.names()), signal.SIGKILL, 10)


def test_a_process_is_found_again_and_ended_by_its_pid(started: Processes, tmp_path: Path) -> None:
    again = Processes(tmp_path)
    found = again.find("one")
    assert found is not None
    assert found.pid in [child.pid for child in children(os.getpid())]
    started.end([found, None], signal.SIGTERM, 10)
    assert again.find("one") is None
    assert again.find("two") is None


def test_a_pid_that_belongs_to_somebody_else_now_is_left_alone(started: Processes) -> None:
    found = started.find("one")
    assert found is not None
    Seen(found.pid, found.start - 1).signal(signal.SIGKILL)
    assert seen(found.pid) == found


def test_who_does_not_listen_is_killed(tmp_path: Path, own: None) -> None:
    processes = Processes(tmp_path)
    processes.start(
        "deaf", sys.executable, "-c", "import signal, time; signal.signal(15, 1); print(flush=True); time.sleep(60)"
    )
    cluster.wait_for(lambda: (tmp_path / "deaf.log").stat().st_size > 0, "it to be deaf", 30)
    processes.end([processes.find("deaf")], signal.SIGTERM, 0.1)
    assert processes.find("deaf") is None


# ---------------------------------------------------------------------------------- the harness


def test_the_primary_is_killed_as_often_as_asked() -> None:
    assert [sum(event.kills_primary for event in sequence(kills)) for kills in (0, 1, 20)] == [0, 1, 20]
    assert len({event.name for event in sequence(20)}) == 8


def write(path: Path, *lines: Line) -> None:
    writer = Writer(path)
    for line in lines:
        writer.write(line)


def test_time_without_service_is_the_longest_silence_of_all_and_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    journals = {name: tmp_path / name for name in ("a", "b")}
    for path in journals.values():
        path.touch()
    watch = Watch(journals)
    for name in "abbba":  # heard of at 0, 1, 2, 3 and 4
        write(journals[name], Line("answered", uuid4(), status="posted"))
        watch.look()
    assert watch.silences(0.0) == (1.0, 4.0)
    assert watch.all_heard_since(2.5)
    assert not watch.all_heard_since(3.5)


def test_what_headquarters_had_lost_until_a_till_sent_it_again_counts_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    kept, lost = uuid4(), uuid4()
    write(
        path,
        *(Line("answered", each, status="posted", entry=f"{place} noon") for place, each in enumerate((kept, lost))),
    )
    write(
        path,
        Line("answered", kept, status="duplicate", entry="0 noon"),
        Line("answered", lost, status="posted", entry="1 later"),
    )
    watch = Watch({"a": path})
    assert watch.acknowledged() == {kept, lost}
    assert watch.restated() == 1


def test_the_checker_finds_what_is_lost_doubled_or_made_up(tmp_path: Path) -> None:
    ids = [UUID(int=number) for number in range(3)]
    account = Account()
    for place, each in enumerate(ids):
        account.expect(each, f"body {place}")
        account.answers[each] = "posted"
    rows = [(each, f"body {place}".encode(), "store", place, place) for place, each in enumerate(ids)]
    assert checker.compare(rows, account, {}).is_clean
    assert checker.compare(rows[1:], account, {}).lost == 2  # acknowledged, and begun
    assert checker.compare([*rows, (UUID(int=9), *rows[0][1:])], account, {}).doubled == 1
    assert checker.compare([*rows, (UUID(int=9), b"other", "store", 9, 9)], account, {}).others
    assert checker.differences({("s", "a"): 1}, {("s", "a"): 2}) == ["('s', 'a'): the level is 1, expected 2"]


class Played:
    """Stands for the chain: what each run of the harness comes to."""

    def __init__(self, lost: int, lost_in_control: int) -> None:
        self._lost = {True: lost, False: lost_in_control}

    def __call__(self, _farm: object, _tills: int, events: object, synchronous: bool = True) -> harness.Run:
        lost = self._lost[synchronous]
        happened = harness.Happened("kill", True, 2.0, 3.0, 5.0, 100, lost, 0)
        return harness.Run([happened], checker.Verdict(acknowledged=100, lost=lost))


RUNS = [(0, 7, 0, "7 of 100 lost, as it should"), (0, 0, 1, "NOT CAUGHT"), (1, 7, 1, "as it should")]


@pytest.mark.parametrize(("lost", "lost_in_control", "code", "said"), RUNS)
def test_a_loss_or_a_blind_control_is_an_exit_code(
    lost: int,
    lost_in_control: int,
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(harness, "Farm", IdleFarm)
    monkeypatch.setattr(harness, "play", Played(lost, lost_in_control))
    assert harness.main(["--json", str(tmp_path / "result.json")]) == code
    printed = capsys.readouterr().out
    assert said in printed
    cells = [cell.strip() for cell in next(line for line in printed.splitlines() if line.startswith("kill")).split("│")]
    assert cells == ["kill", "1", "2.0", "2.0", "3.0", "5.0", "100", str(lost), "0"]
    assert json.loads((tmp_path / "result.json").read_text())["good"] == (code == 0)


def test_a_cluster_that_does_not_come_back_is_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ClusterError("Waited 120 s for every till to be answered again.")

    monkeypatch.setattr(harness, "Farm", IdleFarm)
    monkeypatch.setattr(harness, "play", fail)
    assert harness.main(["--no-control"]) == 1
    assert "test-ha: Waited 120 s" in capsys.readouterr().err


# ---------------------------------------------------------------------------------- packages


def run_packages(folder: Path, installed: str, user: str, *names: str) -> subprocess.CompletedProcess[str]:
    """packages.sh on a machine where one package is `installed`; what apt-get is asked for goes to the file `asked`."""
    said = {"dpkg-query": f"[ $4 != {installed} ] || echo ok installed", "id": f"echo {user}"}
    said["apt-get"] = f'[ "$1" != install ] || echo "$@" >>{folder}/asked'
    for name, line in said.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    script = Path(__file__).parents[1] / "support" / "packages.sh"
    path = f"{folder}:{os.environ['PATH']}"
    return subprocess.run([script, *names], env={"PATH": path}, capture_output=True, text=True, check=False)


def test_what_make_cannot_install_it_names(tmp_path: Path) -> None:
    done = run_packages(tmp_path, "haproxy", "1000", "haproxy", "patroni")
    assert done.returncode == 1
    assert done.stderr == "Some programs are missing; on Debian 12, please run: apt-get install patroni\n"
    assert run_packages(tmp_path, "haproxy", "1000", "haproxy").returncode == 0


@pytest.mark.skipif(not Path("/usr/sbin/policy-rc.d").exists(), reason="it would make a file in /usr/sbin")
def test_root_installs_what_is_missing(tmp_path: Path) -> None:
    done = run_packages(tmp_path, "haproxy", "0", "haproxy", "patroni")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "asked").read_text() == "install -qq -y --no-install-recommends patroni\n"
