"""The messages people read: what happened, why, and what to do next. Slack, REST and the audit say the same.

Plain text without names, numbers or markup, so nothing that a user typed can come in.
"""

from typing import Final

from approvals.decision import Reason

REASONS: Final[dict[Reason, str]] = {
    Reason.ALLOWED: "Your answer is recorded and counts; there is nothing more to do.",
    Reason.UNSIGNED: (
        "The decision was refused because it was not signed: it did not come through Slack or an API key. "
        "Decide with the buttons of the card or through the REST interface."
    ),
    Reason.BAD_SIGNATURE: (
        "The decision was refused because its signature is wrong: it was changed on the way, or its key is no longer "
        "in use. Decide again with the buttons of the card; if it happens again, tell an operator."
    ),
    Reason.MALFORMED: (
        "The decision was refused because it can't be read: it does not have the form of a decision. "
        "Decide with the buttons of the card or through the REST interface."
    ),
    Reason.WRONG_INSTANCE: (
        "The decision was refused because it is for another request than the one it was sent to. "
        "Open the card of the request that you mean and decide there."
    ),
    Reason.REUSED_ID: (
        "The decision was refused because the card belongs to an earlier request that had the same id. "
        "Look for the newer card and decide there."
    ),
    Reason.CHANGED_REQUEST: (
        "The decision was refused because the request is no longer what the card showed. "
        "Look for the newer card, read it again and decide there."
    ),
    Reason.OLD_CARD: (
        "The decision was refused because the card belongs to a stage that is already complete. "
        "Look for the card of the current stage and decide there if it asks you."
    ),
    Reason.REROUTED_CARD: (
        "The decision was refused because the request was passed on to more people after this card was shown. "
        "Look at the card again, it has new buttons, and decide there."
    ),
    Reason.FORGED_CARD: (
        "The decision was refused because no such card was ever posted for the request. "
        "Decide with the buttons of the card in the channel; if you did just that, tell an operator."
    ),
    Reason.DUPLICATE: (
        "This answer came in before and counts once, so nothing has changed; there is nothing more to do."
    ),
    Reason.ALREADY_DECIDED: (
        "Nothing has changed because the request is already decided. See its card or its status for the outcome."
    ),
    Reason.ALREADY_COUNTED: (
        "The answer does not count because this request already has one from you, and each person counts once. "
        "Another approver has to answer now."
    ),
    Reason.SEATS_FILLED: (
        "Your yes does not count because the seats that you may fill have the yeses that they need. An approver for "
        "another seat has to answer; you can still reject the request."
    ),
    Reason.BROKEN_OFF: (
        "Your answer was taken in and does not count, because the request's workflow has broken off with an error "
        "before it was decided. The operators see why; it has to be asked again."
    ),
    Reason.REQUEST_OVER: (
        "The answer does not count because the request is over. See its card or its status for the outcome, and start "
        "a new request if it is still needed."
    ),
    Reason.TOO_LATE: (
        "The answer does not count because it came after the deadline. "
        "Ask the requester to start a new request if it is still needed."
    ),
    Reason.OWN_REQUEST: (
        "The answer does not count because the request is your own, and nobody decides on their own request. "
        "Ask another approver to decide."
    ),
    Reason.NOT_AN_APPROVER: (
        "The answer does not count because the policy does not name you as an approver of this request. "
        "Ask one of the people on the card, or the person who keeps the policy to add you for requests to come."
    ),
    Reason.NO_APPROVERS: (
        "The request was rejected because the policy leads to nobody who may approve it. "
        "Ask the person who keeps the policy to name approvers, then start the request again."
    ),
    Reason.UNKNOWN_PERSON: (
        "The answer does not count because Slack does not know the person who gave it. "
        "Decide with an account of this workspace."
    ),
    Reason.UNKNOWN_GROUP: (
        "The answer does not count because the policy names a user group that Slack does not know. "
        "Ask the person who keeps the policy to put the group's name right, then try again."
    ),
    Reason.UNKNOWN_REQUESTER: (
        "The answer does not count because it can't be ruled out that the request is your own: Slack shows no e-mail "
        "address to compare. Ask another approver to decide, or an operator to check the app's users:read.email scope."
    ),
    Reason.OTHER_TEAM: (
        "The answer does not count because your account belongs to another workspace. "
        "Ask an approver of this workspace to decide."
    ),
    Reason.BOT: (
        "The answer does not count because it came from a bot, and only people decide. Ask an approver to decide."
    ),
    Reason.GUEST: (
        "The answer does not count because you are a guest in this workspace, and guests don't decide. "
        "Ask an approver who is a full member."
    ),
    Reason.DEACTIVATED: (
        "The answer does not count because the account is deactivated. "
        "Ask an approver with an active account to decide."
    ),
    Reason.STRANGER: (
        "The answer does not count because your account comes from outside this workspace. "
        "Ask an approver of this workspace to decide."
    ),
    Reason.INVITED: (
        "The answer does not count because the account's invitation is not accepted yet. "
        "Accept the invitation first, then decide again."
    ),
    Reason.LOOKUP_FAILED: (
        "The answer does not count because Slack could not be asked whether you may decide. "
        "Nothing has changed: try again in a minute."
    ),
    Reason.NOT_THE_REQUESTER: (
        "Nothing was withdrawn because only the person who asks, or who submitted the request for them, may take it "
        "back. Ask them, or an operator to terminate it."
    ),
    Reason.NOT_THEIR_YES: (
        "Nothing was taken back because this is no yes of yours in the stage that was decided last. Ask the person who "
        "gave it."
    ),
    Reason.UNDO_CLOSED: (
        "Nothing was taken back because that is possible only between the last yes and the moment when the approval "
        "takes effect, and five times at most. See the request's status."
    ),
    Reason.NOT_OFFERED: (
        "Nothing was done because this release does not offer it: a request can be decided and withdrawn. "
        "Approve, reject or withdraw it."
    ),
    Reason.REASON_MISSING: (
        "The rejection does not count because it gives no reason. Reject again and say why, so the requester knows."
    ),
    Reason.NOT_PERMITTED: (
        "Nothing was done because your role does not include it. Ask an admin for the role if you need it."
    ),
    Reason.MEMBERS_ONLY: (
        "Nothing was done because only full members of this workspace see and decide requests, and your account is "
        "that of a guest, a bot or another workspace. Ask a full member to look for you."
    ),
    Reason.ROLES_UNKNOWN: (
        "Nothing was done because your role could not be looked up: Slack could not be asked, or the policy file "
        "cannot be read. Try again in a minute; if it stays so, tell the person who runs Countersign."
    ),
    Reason.NOT_IN_THIS_STATUS: (
        "Nothing was done because the workflow's status does not allow it now. Look at its status, then choose again."
    ),
}


WITHDRAWALS: Final[dict[Reason, str]] = {
    Reason.REQUEST_OVER: (
        "Nothing was withdrawn because the request is over. See its card or its status for the outcome."
    ),
    Reason.ALREADY_DECIDED: (
        "Nothing was withdrawn because the request is already decided. See its card or its status for the outcome."
    ),
    Reason.BROKEN_OFF: (
        "Nothing was withdrawn because the request's workflow has broken off with an error. Nobody can approve it any "
        "more; the operators see why."
    ),
    Reason.WRONG_INSTANCE: (
        "Nothing was withdrawn because the withdrawal is for another request than the one it was sent to. Open the "
        "card of the request that you mean and withdraw it there."
    ),
    Reason.REUSED_ID: (
        "Nothing was withdrawn because the card belongs to an earlier request that had the same id. Look for the newer "
        "card and withdraw it there."
    ),
    Reason.CHANGED_REQUEST: (
        "Nothing was withdrawn because the request is no longer what the card showed. Look for the newer card and "
        "withdraw it there."
    ),
    Reason.LOOKUP_FAILED: (
        "Nothing was withdrawn because Slack could not be asked who you are. Nothing has changed: try again in a "
        "minute."
    ),
    Reason.UNKNOWN_PERSON: (
        "Nothing was withdrawn because Slack does not know the person who asked for it. Withdraw with an account of "
        "this workspace."
    ),
}
"""The reasons as a withdrawal is told them; all others say the same of whatever was submitted."""


def message_for(reason: Reason, *, withdrawal: bool = False) -> str:
    """Return the message for a reason: of a decision, or of a withdrawal."""
    if withdrawal:
        return WITHDRAWALS.get(reason) or REASONS[reason].replace("The answer does not count", "Nothing was withdrawn")
    return REASONS[reason]
