"""The limits of the `pos-client` commands, each with its unit and reason."""

PING_SECONDS = 5.0
"""How long `status` waits for HQ: shorter than the library's time-outs, since a person is waiting."""
POSTINGS_SHOWN_MAX = 100
"""Most pending postings that `outbox list` shows: what a person reads."""
BODY_BYTES_SHOWN_MAX = 1 << 24
"""Most bytes of their bodies: far more than a hundred baskets hold."""
PROGRESS_SECONDS = 0.05
"""How often `deliver` shows its progress and looks whether all is delivered."""
FOLDED_COLUMNS_MIN = 10
"""Least width of a column of text in a narrow terminal, in characters: a date stays in one piece."""
LINES_SHOWN_MAX = 5
"""Most lines of a posting in a table; JSON has all."""
PLACES_SHOWN = 3
"""How many of many like problems of a file are shown each: enough to see what they are."""
LARGEST_SKUS = 10
"""How many products a rehearsal lists, those with the largest quantities: where a wrong decimal sign shows."""
NEAR_ASKED_MAX = 3
"""Of how many unknown names HQ is asked what they may mean: a list of wrong names is no flood of questions."""
NEAR_LETTERS = 3
"""Letters that a misspelt SKU is expected to share with the right one, at its beginning or its end."""
NEAR_PAGE = 1_000
"""Most stock levels among which the right SKU is looked for, one page: comparing them takes a fraction of a second."""
COMPLETION_SECONDS = 2.0
"""How long HQ may take to complete a word: a shell stands still meanwhile."""
COMPLETIONS_MAX = 200
"""Most names that a shell is offered: more than a person looks through."""
POSTINGS_LOOKED_AT_MAX = 500
"""Of how many of the latest postings, in an outbox or at HQ, names are offered: reading them takes milliseconds."""
WATCH_TURN_SECONDS = 0.2
"""How often a live table is drawn: a person sees no more."""
WATCH_ANEW_SECONDS = 30.0
"""How often a live table asks for all its figures anew: for what time alone changes, and how complete they are."""
