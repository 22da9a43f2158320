//! From a phone number to an account.

use super::endpoint::{Endpoint, get, patch, post, put};
use crate::http::registration::register::{RegisterRequest, RegisterResponse};
use crate::http::verification::create::CreateRequest;
use crate::http::verification::prove::ProveRequest;
use crate::http::verification::request_code::RequestCodeRequest;
use crate::http::verification::session::SessionResponse;
use crate::http::verification::submit_code::SubmitCodeRequest;

const TAG: &str = "Registration";
const SESSION: &str = "/v1/verification/session/{session}";
const CODE: &str = "/v1/verification/session/{session}/code";
const ID: (&str, &str) = ("session", "The session's id: base64 for URLs.");
const SESSIONS: [&str; 1] = ["verification_sessions"];
const STANDING: &str = "How the session stands.";

fn of_session(endpoint: Endpoint) -> Endpoint {
    endpoint
        .for_nobody()
        .segment(ID.0, ID.1)
        .answers::<SessionResponse>(200, STANDING)
        .says_so(422, "The id is malformed, or a rule is broken.")
        .shows(SESSIONS)
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        post("/v1/verification/session", "createVerificationSession")
            .says(TAG, "Begin to verify a number")
            .for_nobody()
            .takes::<CreateRequest>()
            .answers::<SessionResponse>(200, STANDING)
            .runs(["StartSession"])
            .shows(SESSIONS),
        of_session(
            get(SESSION, "getVerificationSession")
                .says(TAG, "How a verification session stands")
                .runs(["DropRecoveryPassword"]),
        ),
        of_session(
            patch(SESSION, "updateVerificationSession")
                .says(TAG, "Prove to be a person")
                .takes::<ProveRequest>(),
        )
        .answers::<SessionResponse>(403, "The proof is wrong.")
        .answers::<SessionResponse>(409, "The number is verified already.")
        .answers::<SessionResponse>(429, "Too many proofs.")
        .runs(["SubmitProof", "RequirePushChallenge"]),
        of_session(
            post(CODE, "requestVerificationCode")
                .says(TAG, "Have a code sent")
                .takes::<RequestCodeRequest>(),
        )
        .answers::<SessionResponse>(409, "Not now: verified, or a proof is missing.")
        .answers::<SessionResponse>(418, "The number cannot be reached on this way.")
        .answers::<SessionResponse>(429, "Too soon, or too often.")
        .answers_inline::<super::endpoint::AnyObject>(440, "The provider does not take it.")
        .runs(["RequestCode", "ReportUndelivered"]),
        of_session(
            put(CODE, "submitVerificationCode")
                .says(TAG, "Check a code")
                .takes::<SubmitCodeRequest>(),
        )
        .answers::<SessionResponse>(409, "There is no code to check.")
        .answers::<SessionResponse>(429, "Too soon, or too often.")
        .runs(["SubmitCode"]),
        post("/v1/registration", "registerAccount")
            .says(TAG, "Register a number, or register it anew")
            .for_newcomers()
            .takes::<RegisterRequest>()
            .answers::<RegisterResponse>(200, "The account.")
            .says_so(403, "The recovery password is wrong.")
            .says_so(409, "A transfer from another device is possible.")
            .answers_inline::<super::endpoint::AnyObject>(423, "A registration lock is set.")
            .runs(["RegisterAccount"])
            .shows(["accounts", "devices", "pre_keys"]),
    ]
}
