"""What the reasons in a data card mean, in plain words."""

from __future__ import annotations

_WORDS = {
    # Requests without a label.
    "no_feedback": "nobody spoke of the answer, and nothing it led to was seen",
    "too_young": "the request is younger than the waiting time; corrections may still come",
    "request_error": "the request ended in an error, so there is no answer to judge",
    "rater_distrusted": "only raters spoke whose judgements are not relied on",
    "burst": "only signals that came in a burst from few accounts",
    "says_nothing": "what was said or done tells nothing about this answer",
    "uncertain": "the evidence is too weak for a label",
    "only_negative": "the answer was called wrong, and nobody said what is right",
    "correction_conflict": "somebody's value is contradicted by another value or a vote",
    "thumbs_conflict": "votes for and against, and nothing decides between them",
    "implicit_conflict": "implicit signs contradict each other",
    # Rows that were left out.
    "repeated": "the same inputs with the same labels were there already",
    "contradictory": "equal inputs with different labels; all of them are left out",
    "over_limit": "more rows than the limit that was asked for",
    "over_user_cap": "the user has more rows than one may bring",
    "over_template_cap": "the same text but for digits and names, too often",
    "over_week_cap": "the week has more rows than one may bring",
    "over_balance": "a frequent label of train, brought down to the balance asked for",
    "no_consent": "consent to neither training nor evaluation",
    "no_consent_to_train": "the row's group is in train, and the row may not be trained on",
    "no_consent_to_evaluate": "the row's group is in dev or holdout, and it may not be used there",
    "input_missing": "the request lacks an input field of the program",
    "output_missing": "the answer lacks an output field of the program",
    "output_no_label": "the answer is none of the allowed labels",
    "feedback_unusable": "feedback that names no field or label of the program",
}


def reason_in_words(reason: str) -> str:
    """Returns what a reason means; "" for one that this version does not know."""
    return _WORDS.get(reason, "")
