//! JSON bodies of every endpoint: parsed, or refused with a 4xx. The first byte chooses the endpoint.
#![no_main]

use api::http::accounts::identity::IdentityResponse;
use api::http::devices::link::LinkRequest;
use api::http::extract::json::parse;
use api::http::keys::set::SetRequest;
use api::http::keys::take::TakeResponse;
use api::http::messages::list::ListResponse;
use api::http::messages::send::SendRequest;
use api::http::problem::Problem;
use api::http::registration::attributes::AttributesRequest;
use api::http::registration::register::RegisterRequest;
use api::http::verification::create::CreateRequest;
use api::http::verification::prove::ProveRequest;
use api::http::verification::request_code::RequestCodeRequest;
use api::http::verification::submit_code::SubmitCodeRequest;
use libfuzzer_sys::fuzz_target;

fn refused<T>(parsed: Result<T, Problem>) {
    if let Err(problem) = parsed {
        assert!(problem.status().is_client_error());
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, body)) = bytes.split_first() else {
        return;
    };
    match which % 12 {
        0 => refused(parse::<CreateRequest>(body)),
        1 => refused(parse::<ProveRequest>(body)),
        2 => refused(parse::<RequestCodeRequest>(body)),
        3 => refused(parse::<SubmitCodeRequest>(body)),
        4 => refused(parse::<RegisterRequest>(body)),
        5 => refused(parse::<AttributesRequest>(body)),
        6 => refused(parse::<LinkRequest>(body)),
        7 => refused(parse::<SetRequest>(body)),
        8 => refused(parse::<SendRequest>(body)),
        9 => refused(parse::<TakeResponse>(body)),
        10 => refused(parse::<ListResponse>(body)),
        _ => refused(parse::<IdentityResponse>(body)),
    }
});
