"""What Schemathesis cannot guess: credentials, and values that only the server can have given out."""

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


def post(path, body, token=None):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    reply = requests.post(API + path, json=body, headers=headers, timeout=30)
    reply.raise_for_status()
    return reply.json()


def register(email=None):
    email = email or f"{uuid.uuid4()}@example.com"
    return post("/auth/register", {"email": email, "password": PASSWORD, "organizationName": "Fuzz"})


register(EMAIL)


class Bearer:
    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


# These end sessions or demote their callers: they get callers of their own.
OWN_SESSION = ["logout", "changePassword"]
MEMBERS = ["listUsers", "getUser", "updateUser", "deactivateUser", "reactivateUser", "createInvitation"]


@schemathesis.auth(refresh_interval=600).skip_for(operation_id=OWN_SESSION + MEMBERS)
class Owner(Bearer):
    def get(self, case, context):
        return register()["accessToken"]


@schemathesis.auth(refresh_interval=None).apply_to(operation_id=OWN_SESSION)
class Leaver(Bearer):
    def get(self, case, context):
        return register()["accessToken"]


members = {}


@schemathesis.auth(refresh_interval=600).apply_to(operation_id=MEMBERS)
class Employer(Bearer):
    """The owner of an organization with a second user, for whom `known_values` puts in the id."""

    def get(self, case, context):
        token = register()["accessToken"]
        joined = post("/invitations/accept", {"token": invite(token), "password": PASSWORD})
        members["latest"] = joined["user"]["id"]
        return token


def invite(token):
    """The token of a new invitation, from the mail that a job sends soon after."""
    email = f"{uuid.uuid4()}@example.com"
    post("/invitations", {"email": email, "role": "member"}, token)
    for _ in range(150):
        for file in sorted(glob.glob(MAILS), reverse=True):
            with open(file, "rb") as mail:
                text = decodestring(mail.read()).decode()
            if f"To: {email}" in text:
                return re.search(r"token:\s+(\S+)", text).group(1)
        time.sleep(0.2)
    raise RuntimeError(f"no mail to {email}")


session = register()
turns = 0
# What a schema cannot say: that a thing exists, that names and codes are real ones, that values go together.
MEANING = {
    "characters", "currency", "cursor", "decimals", "incorrect", "lead_identity", "missing_reference", "time_zone", "weak_password",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts values that work into every second valid request; a guess would hardly get past the first check."""
    global turns
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    for name in ("If-Match", "If-None-Match"):
        # The coverage phase puts only letters and digits into headers, and 0 where that leaves nothing.
        if str(case.headers.get(name)) == "0":
            case.headers[name] = "*"
    turns += 1
    if turns % 2:
        return
    case.headers.pop("If-Match", None)
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    for name in [name for name in case.query if is_reference(name)]:
        del case.query[name]
    if case.meta.phase.name != "stateful" and "userId" in case.path_parameters and members:
        case.path_parameters["userId"] = members["latest"]
    if isinstance(case.body, dict):
        case.body = with_known_values(case.operation.definition.raw["operationId"], case.body)


def is_reference(name):
    return name.endswith("Id") or name == "cursor"


def with_known_values(operation, body):
    if operation == "login":
        return {"email": EMAIL, "password": PASSWORD}
    if operation == "refreshSession":
        return {"refreshToken": session["refreshToken"]}
    if operation == "changePassword":
        return {**body, "currentPassword": PASSWORD}
    if operation == "acceptInvitation":
        return {**body, "token": invite(register()["accessToken"])}
    known = {name: value for name, value in body.items() if not is_reference(name)}
    return {**known, "timeZone": "Europe/Berlin"} if "timeZone" in known else known


@schemathesis.hook
def after_call(context, case, response):
    global session
    if case.operation.definition.raw["operationId"] == "refreshSession" and response.status_code == 200:
        session = response.json()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Lets a request that meets its schema be refused for its meaning, and only for that."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    return not {error["code"] for error in response.json()["errors"]} <= MEANING
