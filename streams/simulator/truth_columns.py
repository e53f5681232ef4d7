"""What the truth holds, column by column."""

KEYS = ("market_id", "channel", "minute_at")

_COUNTED = {
    "wanted": "purchases wanted in this minute",
    "sold": "of these, approved by the first try (also where a timeout was approved after all)",
    "made_up_later": "of these, approved by a later try, on the same day or days later",
    "tried_again": "of those made up later, on the same day in the market and channel they were wanted in",
    "switched_channel": "of those made up later, on the same day in the other channel",
    "switched_market": "of those made up later, on the same day in a neighbouring market, in either channel",
    "came_back_days_later": "of those made up later, days later: made up later = tried again + switched channel + switched market + came back days later",
    "paid_in_parts": "of those made up later, in two payments or one of two; what was not paid then is KRW lost, but no purchase lost",
    "failed": "of these, never approved though the buyer got as far as an attempt to pay",
    "unseen": "of these, never approved, and the buyer never got past queue, login or registration: no attempt is on any topic",
    "lost": "failed + unseen = wanted - sold - made_up_later",
    "paid_paper": "of those lost, paid to the same merchant by paper voucher",
    "paid_card": "of those lost, paid to the same merchant by an ordinary card",
    "paid_cash": "of those lost, paid to the same merchant in cash",
    "lost_for_good": "of those lost, bought nowhere: lost = paid_paper + paid_card + paid_cash + lost_for_good",
    "approved": "approvals in this minute, whenever they were wanted: what the topic payments holds",
    "cancelled": "of these approvals, those of timeouts that came late and were taken back automatically (망취소): no sale",
}

_AMOUNTS = {
    "ordinary_lost_amount": "KRW wanted in this minute that would have been lost without the incident too",
    "ordinary_amount": "KRW that would have been approved in this minute without the incident, with the same buyers and the same luck",
    "ordinary_cancelled_amount": "of these, KRW taken back automatically",
}

COLUMNS = {
    "market_id": "market",
    "channel": "card or mobile: where it was wanted; of approvals, where they came",
    "minute_at": "minute, UTC",
    **{column: text for name, told in _COUNTED.items() for column, text in ((name, told), (f"{name}_amount", "their KRW"))},
    **_AMOUNTS,
}
"""The columns of the truth and what they hold. Cells in which nothing happened are absent."""

MEASURES = tuple(name for name in COLUMNS if name not in KEYS)
