"""The SQL statements of the outbox. The current lineage is the last one; pending postings of earlier ones are held."""

from __future__ import annotations

INSERT = """
INSERT INTO posting (id, lineage, seq, occurred_at, quantity, reference, body, boot, tick_ms)
SELECT ?, number, (SELECT coalesce(max(place), 0) + 1 FROM posting) - base, ?, ?, ?, ?, ?, ?
FROM lineage WHERE number = (SELECT max(number) FROM lineage) AND terminal IS coalesce(?, terminal)
ON CONFLICT (id) DO NOTHING
"""
NOTE_LOCATION = "UPDATE lineage SET location = ? WHERE number = (SELECT max(number) FROM lineage)"
OWNER = "SELECT terminal FROM lineage ORDER BY number DESC LIMIT 1"
LAST_SEQ = """
SELECT number, (SELECT coalesce(max(place), 0) FROM posting) - base FROM lineage ORDER BY number DESC LIMIT 1
"""
SETTLE = """
UPDATE posting SET state = ?, result = ?, settled_at = ?, attempts = attempts + 1
WHERE id = ? AND state = 'pending' RETURNING quantity
"""
ACKNOWLEDGE = """
UPDATE lineage SET count = count + ?, quantity = quantity + ?, head = coalesce(?, head)
WHERE number = (SELECT max(number) FROM lineage)
"""
BEGIN_LINEAGE = """
INSERT INTO lineage (number, uuid, head, base, terminal, location)
SELECT ?, ?, ?, coalesce(max(place), 0) - ?, ?,
    (SELECT location FROM lineage WHERE terminal IS ? ORDER BY number DESC LIMIT 1)
FROM posting
"""
PARKED = """
SELECT p.place, p.id, l.uuid, p.seq, p.reference, p.occurred_at, p.settled_at, p.result, p.body
FROM posting p JOIN lineage l ON l.number = p.lineage
WHERE p.state = 'parked' AND p.place > ? ORDER BY p.place LIMIT 100
"""
LATEST = "SELECT id, body FROM posting ORDER BY place DESC LIMIT ?"
REPORT = """
SELECT count(*), (SELECT count(*) FROM posting WHERE state = 'parked'), min(occurred_at),
    CASE WHEN count(*) = count(CASE WHEN boot = ? THEN 1 END) THEN min(tick_ms) END
FROM posting WHERE state = 'pending' AND lineage = (SELECT max(number) FROM lineage)
"""
COUNTS = """
SELECT (SELECT count(*) FROM posting WHERE state = 'pending'), (SELECT count(*) FROM posting WHERE state = 'parked'),
    (SELECT count(*) FROM posting WHERE state = 'done'), (SELECT min(occurred_at) FROM posting WHERE state = 'pending')
"""
PENDING = """
SELECT id, seq, body, boot, tick_ms FROM posting WHERE state = 'pending' AND lineage = (SELECT max(number) FROM lineage)
ORDER BY seq LIMIT ? OFFSET ?
"""
HELD = """
SELECT l.terminal, json_extract(CAST(p.body AS TEXT), '$.location') AS location, count(*)
FROM posting p JOIN lineage l ON l.number = p.lineage
WHERE p.state = 'pending' AND p.lineage < (SELECT max(number) FROM lineage) AND l.terminal IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""
# Rows of the terminals in a JSON array.
OF = "lineage IN (SELECT number FROM lineage, json_each(?) WHERE value IS terminal)"
REOPEN = "UPDATE posting SET state = 'pending', result = NULL, settled_at = NULL WHERE "
# The witness is pending but keeps its stored answer, which HQ must give again; it is number 1 of its lineage.
ASK_AGAIN = """
UPDATE posting SET state = 'pending', settled_at = NULL WHERE place = (
    SELECT place FROM posting WHERE state = 'done'
    AND lineage IN (SELECT number FROM lineage, json_each(?) WHERE value IS terminal)
    ORDER BY json_extract(CAST(result AS TEXT), '$.position') DESC, place DESC LIMIT 1)
"""
WITNESS = """
SELECT id, result FROM posting
WHERE state = 'pending' AND lineage = (SELECT max(number) FROM lineage) AND seq = 1 AND result IS NOT NULL
"""
OWNER_OF = "SELECT p.state, p.lineage, l.terminal FROM posting p JOIN lineage l ON l.number = p.lineage WHERE p.id = ?"
DISMISS_WITNESS = "UPDATE posting SET state = 'done' WHERE state = 'pending' AND result IS NOT NULL"
PLACES = """
SELECT place FROM posting
WHERE state = 'pending' AND lineage IN (SELECT number FROM lineage, json_each(?) WHERE value IS terminal)
ORDER BY result IS NULL, lineage, seq
"""
PRUNE = """
DELETE FROM posting WHERE place IN (
    SELECT place FROM posting WHERE state = 'done' ORDER BY place
    LIMIT min(?, max(0, (SELECT count(*) FROM posting WHERE state = 'done') - ?)))
"""
