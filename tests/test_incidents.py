from kafka_bridge.incidents import incident_of


def test_an_incident_leads_from_the_answer_to_the_place_and_quotes_nothing():
    # Not in the line that raises, which a trace shows.
    text = "NEVERSHOWN"
    try:
        raise OverflowError(text)
    except OverflowError as error:
        incident = incident_of(error)

    assert incident.error.incident in str(incident.error)
    assert incident.error.incident in incident.line
    assert "OverflowError" in incident.line
    assert __name__.rpartition(".")[2] in incident.line
    assert "NEVERSHOWN" not in incident.line + str(incident.error)
