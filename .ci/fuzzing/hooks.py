"""What Schemathesis cannot guess: credentials, and values that only the server or the world can give."""

import atexit
import glob
import os
import re
import time
import uuid
from quopri import decodestring

import requests
import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

API = os.environ["FUZZ_API"]
MAILS = os.path.join(os.environ["FUZZ_DATA_DIR"], "mail", "*.eml")
# As in the examples of the contract, so that they work.
EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"


def call(method, path, body=None, token=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    reply = requests.request(method, API + path, json=body, headers=headers, timeout=30)
    reply.raise_for_status()
    return reply.json()


def new_email():
    return f"{uuid.uuid4()}@example.com"


def register(email=None):
    body = {"email": email or new_email(), "password": PASSWORD, "organizationName": "Fuzz"}
    return call("POST", "/auth/register", body)


def login(email):
    return call("POST", "/auth/login", {"email": email, "password": PASSWORD})


def invite(token):
    """The token of a new invitation, from the mail that a job sends soon after."""
    email = new_email()
    call("POST", "/invitations", {"email": email, "role": "member"}, token)
    for _ in range(150):
        for file in sorted(glob.glob(MAILS), reverse=True):
            with open(file, "rb") as mail:
                text = decodestring(mail.read()).decode()
            if f"To: {email}" in text:
                return re.search(r"token:\s+(\S+)", text).group(1)
        time.sleep(0.2)
    raise RuntimeError(f"no mail to {email}")


try:
    register(EMAIL)
except requests.HTTPError:
    # Not the first run against this server.
    login(EMAIL)
owner = register()
definer = register()
session = register()
invitation = call("POST", "/invitations", {"email": new_email(), "role": "member"}, owner["accessToken"])
employer = member = None

# A view shows one kind of record, and so does a segment.
KINDS = {"Accounts": "account", "Contacts": "contact", "Leads": "lead", "Opportunities": "opportunity"}
VIEWS = {
    f"listView{kinds}": call("POST", "/views", {"object": kind, "name": "Fuzz"}, owner["accessToken"])["id"]
    for kinds, kind in KINDS.items()
}
SEGMENTS = {
    operation: call("POST", "/segments", {"object": kind, "kind": how, "name": "Fuzz"}, owner["accessToken"])["id"]
    for operation, kind, how in [
        *((f"listSegment{kinds}", kind, "dynamic") for kinds, kind in KINDS.items()),
        ("changeSegmentMembers", "account", "static"),
    ]
}

# Only what is in the recycle bin can be purged.
PURGES = {
    "purgeAccount": ("/accounts", {"name": "Purged"}),
    "purgeContact": ("/contacts", {"lastName": "Purged"}),
    "purgeLead": ("/leads", {"lastName": "Purged"}),
    "purgeOpportunity": ("/opportunities", {"name": "Purged"}),
}


# Only a record that has an external id can be found by one.
BY_EXTERNAL_ID = {
    "getAccountByExternalId": ("/accounts", {"name": "Known"}),
    "getContactByExternalId": ("/contacts", {"lastName": "Known"}),
    "getLeadByExternalId": ("/leads", {"lastName": "Known"}),
    "getOpportunityByExternalId": ("/opportunities", {"name": "Known"}),
}


# Two records become one, and one merge is undone.
NEW = {"/accounts": {"name": "One of two"}, "/contacts": {"lastName": "One of two"}, "/leads": {"lastName": "One of two"}, "/opportunities": {"name": "One of two"}}
MERGES = {f"merge{collection[1:].capitalize()}": collection for collection in NEW}
ONE_MERGE = {
    f"{verb}{name}Merge": collection
    for verb in ("get", "undo")
    for name, collection in zip(("Account", "Contact", "Lead", "Opportunity"), NEW)
}


def created(collection):
    return call("POST", collection, NEW[collection], owner["accessToken"])["id"]


def merged(collection):
    body = {"winnerId": created(collection), "loserIds": [created(collection)]}
    return call("POST", f"{collection}/merge", body, owner["accessToken"])["merge"]["id"]


def deleted(collection, body):
    record = call("POST", collection, body, owner["accessToken"])
    headers = {"authorization": f"Bearer {owner['accessToken']}"}
    requests.delete(f"{API}{collection}/{record['id']}", headers=headers, timeout=30).raise_for_status()
    return record["id"]

# These end sessions or demote their callers: they get callers of their own.
OWN_SESSION = ["logout", "changePassword"]
MEMBERS = ["listUsers", "getUser", "updateUser", "deactivateUser", "reactivateUser", "createInvitation"]

# These change the rules for records, which random rules would soon make impossible to create: they get an organization of their own.
DEFINITIONS = ["listCustomFields", "createCustomField", "getCustomField", "updateCustomField"]


class Bearer:
    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.auth(refresh_interval=600).skip_for(operation_id=OWN_SESSION + MEMBERS + DEFINITIONS)
class Owner(Bearer):
    def get(self, case, context):
        return login(owner["user"]["email"])["accessToken"]


@schemathesis.auth(refresh_interval=None).apply_to(operation_id=OWN_SESSION)
class Leaver(Bearer):
    def get(self, case, context):
        return register()["accessToken"]


@schemathesis.auth(refresh_interval=600).apply_to(operation_id=DEFINITIONS)
class Definer(Bearer):
    def get(self, case, context):
        return login(definer["user"]["email"])["accessToken"]


@schemathesis.auth(refresh_interval=60).apply_to(operation_id=MEMBERS)
class Employer(Bearer):
    """The owner of an organization with a second user; another one when that user has taken over."""

    def get(self, case, context):
        global employer, member
        try:
            current = login(employer["user"]["email"])
            if current["organization"]["role"] == "owner":
                return current["accessToken"]
        except (TypeError, requests.HTTPError):
            pass
        employer = register()
        token = employer["accessToken"]
        member = call("POST", "/invitations/accept", {"token": invite(token), "password": PASSWORD})
        return token


turns = 0


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts values that work into most valid requests: a guess would hardly get past the first check."""
    global turns
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    for name in ("If-Match", "If-None-Match"):
        # The coverage phase puts only letters and digits into headers, and 0 where that leaves nothing.
        if str(case.headers.get(name)) == "0":
            case.headers[name] = "*"
    for name, value in case.path_parameters.items():
        # A link that Schemathesis infers from a null.
        if value in (None, "None"):
            case.path_parameters[name] = "erp" if name == "system" else str(uuid.uuid4())
    turns += 1
    if turns % 4 == 0:
        return
    case.headers.pop("If-Match", None)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    for name in [name for name in case.query if is_reference(name)]:
        del case.query[name]
    if case.meta.phase.name != "stateful" and "userId" in case.path_parameters and member:
        case.path_parameters["userId"] = member["user"]["id"]
    operation = case.operation.definition.raw["operationId"]
    if operation == "getInvitation":
        case.path_parameters["invitationId"] = invitation["id"]
    if operation in VIEWS:
        case.path_parameters["viewId"] = VIEWS[operation]
    if operation in SEGMENTS:
        case.path_parameters["segmentId"] = SEGMENTS[operation]
    if operation in PURGES and case.meta.phase.name != "stateful":
        for name in case.path_parameters:
            case.path_parameters[name] = deleted(*PURGES[operation])
    if operation in BY_EXTERNAL_ID and case.meta.phase.name != "stateful":
        collection, body = BY_EXTERNAL_ID[operation]
        call("PUT", f"{collection}/external/erp/known", body, owner["accessToken"])
        case.path_parameters.update({"system": "erp", "externalId": "known"})
    if operation in ONE_MERGE and case.meta.phase.name != "stateful":
        case.path_parameters["mergeId"] = merged(ONE_MERGE[operation])
    if operation in MERGES and isinstance(case.body, dict):
        collection = MERGES[operation]
        case.body = {"winnerId": created(collection), "loserIds": [created(collection)]}
        return
    if isinstance(case.body, dict):
        case.body = with_known_values(operation, case.body)


def is_reference(name):
    return name.endswith("Id") and name != "externalId" or name == "cursor"


def with_known_values(operation, body):
    if operation == "login":
        # Failures slow down further attempts at the same address.
        return {"email": owner["user"]["email"], "password": PASSWORD}
    if operation == "refreshSession":
        return {"refreshToken": session["refreshToken"]}
    if operation == "changePassword":
        return {"currentPassword": PASSWORD, "newPassword": f"{PASSWORD} {uuid.uuid4()}"}
    if operation == "acceptInvitation":
        return {**body, "password": PASSWORD, "token": invite(register()["accessToken"])}
    if operation.startswith("upsert") and isinstance(body.get("record"), dict):
        record = {"lastName": "Lovelace", **known(body["record"])} if operation == "upsertLead" else known(body["record"])
        ids = [{"system": "erp", "externalId": str(uuid.uuid4())}]
        return {"matchOn": "externalIds.erp", "record": {**record, "externalIds": ids}}
    if operation in ("createLead", "findLeadDuplicates", "putLeadByExternalId") and not body.get("lastName"):
        body = {**body, "lastName": "Lovelace"}
    return known(body)


def known(value):
    if not isinstance(value, dict):
        return value
    real = {
        "currency": "EUR",
        "domain": f"{uuid.uuid4()}.example",
        "email": new_email(),
        "password": PASSWORD,
        "timeZone": "Europe/Berlin",
    }
    return {
        name: real[name] if isinstance(member, str) and name in real else known(member)
        for name, member in value.items()
        if not is_reference(name)
    }


answered = set()


@schemathesis.hook
def after_call(context, case, response):
    global session
    operation = case.operation.definition.raw["operationId"]
    if response.status_code >= 300:
        return
    answered.add(operation)
    if operation == "refreshSession":
        session = response.json()


@atexit.register
def tell_answered():
    with open(os.path.join(os.environ["FUZZ_DATA_DIR"], "answered"), "a") as file:
        file.writelines(f"{operation}\n" for operation in sorted(answered))


# What a schema cannot say: that a thing exists, that names and codes are real ones, that values go together.
MEANING = {
    "archived_custom_field", "index_not_ready", "max_words", "no_words", "not_filterable", "unknown_custom_field",
    "ambiguous", "characters", "currency", "cursor", "decimals", "duplicate_value", "incorrect", "lead_identity", "max_conditions",
    "max_depth", "max_items", "missing_reference", "missing_value", "not_new", "not_of_kind", "not_of_sharing", "not_unique",
    "number_range", "object_mismatch", "repeated", "team_required", "time_zone", "unknown_field", "unknown_name", "version_mismatch",
    "weak_password",
}
# That the rules of a definition go with its type and with each other, and its default with them.
MEANING_OF_DEFINITIONS = {
    "archived_option", "enum", "format", "max_length", "maximum", "min_items", "min_length", "minimum", "missing_option", "not_of_type",
    "not_unique", "pattern", "range", "required", "reserved", "type", "unique_items",
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Lets a request that meets its schema be refused for its meaning, and only for that."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    operation = case.operation.definition.raw["operationId"]
    codes = {error["code"] for error in response.json()["errors"]}
    if operation in DEFINITIONS:
        return not codes <= MEANING | MEANING_OF_DEFINITIONS
    if operation.endswith("Timeline"):
        # Which kinds a timeline can show, the kind of record says.
        return not codes <= MEANING | {"enum"}
    return not codes <= MEANING
