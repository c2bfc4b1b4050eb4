"""Tests of that application, without TOPCAT."""

import program


def test_it_sends_its_table(samp_peer, capsys):
    topcat = samp_peer("topcat", {"table.load.votable": {"rows": "40"}})
    program.main(["topcat"])
    assert capsys.readouterr().out == "topcat has 40 rows\n"
    assert topcat.received[0].params == {"url": "file:///stars.vot"}


def test_a_recorded_topcat_answers_as_it_did(samp_replay, capsys):
    topcat = samp_replay("session.jsonl", "topcat")  # from: asyncsamp record session.jsonl --of topcat
    program.main(["topcat", "topcat"])
    assert capsys.readouterr().out == "topcat has 1 rows\ntopcat has 2 rows\n"
    assert len(topcat.received) == 2


def test_a_function_may_answer(samp_peer, samp_client):
    samp_peer("viewer", {"test.add": lambda message: {"sum": str(1 + int(message.params["x"]))}})
    assert samp_client.call(samp_client.find("viewer"), "test.add", {"x": "2"}).result == {"sum": "3"}


def test_the_hub_is_of_this_test_alone(samp_hub, samp_client):
    assert samp_client.get_registered_clients() == [samp_client.hub_id]
