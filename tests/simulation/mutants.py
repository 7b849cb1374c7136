"""Planted bugs, each of the kind that somebody will one day write: the simulator must find every one of them."""

from __future__ import annotations

from tests.simulation import mutants_hq as hq
from tests.simulation import mutants_merges as merges
from tests.simulation import mutants_rules as rules
from tests.simulation import mutants_till as till
from tests.simulation.planting import Mutant

MUTANTS = (
    Mutant("done-when-sent", "the till marks a posting done as it goes out", till.done_when_sent),
    Mutant(
        "dedup-in-memory",
        "HQ's process remembers the ids, its database does not",
        hq.ids_remembered_in_memory,
        unique_ids=False,
    ),
    Mutant(
        "check-then-insert",
        "ids are looked up outside of the transaction",
        hq.checked_before_the_transaction,
        unique_ids=False,
    ),
    Mutant(
        "stock-by-duplicate",
        "a duplicate moves stock though nothing is inserted",
        hq.stock_moved_by_a_duplicate,
    ),
    Mutant("answer-before-commit", "the answer leaves before the commit", hq.answered_before_the_commit),
    Mutant("dedup-window", "ids are known for a day", hq.ids_remembered_for_a_day, unique_ids=False),
    Mutant(
        "high-water-mark",
        "what is numbered below the last number seen is old",
        hq.known_below_the_high_water_mark,
    ),
    Mutant(
        "terminal-seq-identity",
        "a posting's id is its terminal and number",
        till.identity_is_terminal_and_number,
    ),
    Mutant("done-when-unanswered", "a time-out is taken for success", till.done_when_unanswered),
    Mutant("parked-when-unanswered", "a time-out is taken for a refusal", till.parked_when_unanswered),
    Mutant("sold-before-stored", "the cashier is told before the posting is on disk", till.sold_before_stored),
    Mutant("other-bytes-when-resent", "a posting is encoded anew when sent again", till.other_bytes_when_sent_again),
    Mutant("new-lineage-new-ids", "a new lineage gives new ids", till.new_ids_with_a_new_lineage),
    Mutant(
        "acked-seq-not-compared",
        "a till looks only at its terminal's chain, which a moved outbox has not made",
        till.acknowledged_seqs_not_compared,
    ),
    Mutant("loss-at-hq-not-noticed", "a till compares no answer with the one before", till.answers_not_compared),
    Mutant("epoch-not-checked", "an older connection may still post", hq.epochs_not_checked),
    Mutant("copies-not-noticed", "neither the till nor HQ sees that an outbox was copied", hq.copies_not_noticed),
    Mutant("rejections-not-recorded", "HQ does not remember what it has refused", hq.rejections_not_recorded),
    Mutant("count-ignores-later", "a count forgets what moved after it", hq.count_ignores_what_moved_since),
    Mutant(
        "late-sale-after-count",
        "a sale from before a count changes the counted figure",
        hq.count_is_overrun_by_late_sales,
    ),
    Mutant("older-count-overtakes", "the count that arrived last wins", hq.older_count_overtakes),
    Mutant("voided-count-counts", "a voided count goes on counting", hq.voided_count_still_counts),
    Mutant(
        "early-void-forgotten",
        "a void that comes before its posting is lost",
        hq.void_that_comes_first_is_forgotten,
    ),
    Mutant("pending-not-minded", "HQ's complete_to forgets what a till still holds", hq.pending_postings_not_minded),
    Mutant("ticks-ignored", "HQ takes a till's word for when it sold", hq.ticks_ignored),
    Mutant("boots-in-memory", "HQ forgets with its process when a till booted", hq.boots_remembered_in_memory),
    Mutant("recorded-by-the-clock", "recorded_at goes back with HQ's clock", hq.recorded_when_the_clock_says),
    Mutant(
        "count-swallows-its-instant",
        "a sale of the instant of a count, recorded after it, is taken for counted",
        rules.counts_swallow_their_instant,
    ),
    Mutant("future-believed", "a posting may take effect after it was recorded", rules.the_future_is_believed),
    Mutant("expiry-not-corrected", "a wrong clock's expiry is taken as it is", rules.expiries_are_not_corrected),
    Mutant(
        "void-at-its-own-position",
        "a void stands behind the counts of the instant of what it voids",
        rules.voids_stand_at_their_own_position,
    ),
    Mutant("voided-draws-stay", "a void gives nothing back to documents", rules.voided_draws_stay_drawn),
    Mutant(
        "returns-one-by-one",
        "each return may be of the whole sale",
        rules.returns_are_counted_one_by_one,
        thoroughly=True,
    ),
    Mutant(
        "unnamed-keep-what-they-took",
        "a receipt that names its transfer finds it taken by one that names none",
        rules.unnamed_receipts_keep_what_they_took,
    ),
    Mutant("old-surplus-settled", "a surplus of last week takes what is sent today", rules.old_surplus_is_settled),
    Mutant(
        "over-received-below-zero",
        "what is received beyond what was sent leaves less than nothing on the road",
        rules.over_received_goes_below_zero,
    ),
    Mutant(
        "release-draws-on-later",
        "a release takes from reservations that were made after it",
        rules.releases_draw_on_later_reservations,
    ),
    Mutant("barcodes-as-scanned", "each form of a barcode is a product", rules.barcodes_are_as_they_are_scanned),
    Mutant(
        "recounts-not-noticed", "nobody sees that two have counted", rules.recounts_are_not_noticed, thoroughly=True
    ),
    Mutant(
        "repeated-not-noticed",
        "nobody sees that a delivery was keyed in twice",
        rules.repeated_documents_are_not_noticed,
        thoroughly=True,
    ),
    Mutant("closed-is-complete", "a till that said bye sells no more", rules.closed_tills_are_complete_to_now),
    Mutant(
        "former-places-forgotten",
        "a till that moved may not deliver what it sold where it was",
        rules.former_places_are_forgotten,
    ),
    Mutant("adoption-not-told", "no till hears that it may deliver for another one", rules.adoptions_are_not_told),
    Mutant("late-not-carried", "a late sale of an ended product is nobody's", merges.late_movements_are_not_carried),
    Mutant("ended-lives-on", "what is sold after a merge stays with the ended product", merges.ended_products_live_on),
    Mutant("merge-not-undone", "the void of a merge does nothing", merges.voids_of_merges_do_nothing),
    Mutant(
        "documents-not-merged",
        "open transfers and reservations stay with the ended product",
        merges.open_documents_stay_with_the_ended_product,
    ),
    Mutant("chain-cut", "of a chain of merges only one is followed", merges.chains_are_followed_one_merge_far),
    Mutant(
        "merge-when-it-arrives",
        "a merge that is dated back takes effect now",
        merges.merges_take_effect_when_they_arrive,
    ),
    Mutant("merged-twice", "an ended product may be merged again", merges.ended_products_are_merged_again),
    Mutant("merge-at-one-place", "only one location's stock is carried", merges.merges_are_of_one_location),
    Mutant(
        "count-of-ended-counts",
        "a count of the ended product is taken for one of what took over",
        merges.counts_of_ended_products_count,
    ),
    Mutant(
        "first-sale-not-carried",
        "a merge overlooks the first sale of the product at a location, of its own commit",
        merges.first_sales_of_the_commit_are_not_carried,
    ),
    Mutant(
        "barcode-not-merged",
        "what was sold by a barcode is not merged when the catalogue lists it",
        merges.listed_barcodes_are_not_merged,
    ),
    Mutant("past-merged", "the past is shown as merged today", merges.the_past_knows_todays_merges),
    Mutant(
        "carried-untold",
        "no movement tells what a merge carried",
        merges.nobody_is_told_what_was_carried,
        thoroughly=True,
    ),
    Mutant("later-pages-of-now", "only the first page is of its position", rules.later_pages_are_of_now),
)
