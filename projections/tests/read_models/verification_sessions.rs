use events::StreamId;
use events::verification::{
    CodeRejected, CodeSent, CodeUndelivered, NumberVerified, Proof, ProofRequired, ProofSubmitted,
    Transport, VerificationEvent,
};
use projections::Model;
use projections::verification_sessions::{Checks, VerificationSession};
use testkit::history::{History, samples};

use crate::support::World;

fn stream(n: u32) -> StreamId {
    StreamId::verification(samples::session(n))
}

fn sent(transport: Transport) -> VerificationEvent {
    CodeSent {
        transport,
        code: None,
    }
    .into()
}

async fn session(world: &World, history: &History) -> VerificationSession {
    world.apply(Model::VerificationSessions, history).await;
    world
        .queries
        .verification_sessions()
        .by_id(samples::session(1))
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_session_is_followed_from_its_start_to_the_verified_number() {
    let world = World::new().await;
    let mut history = History::default();
    let at = |history: &History, n: usize| history.facts()[n - 1].metadata.at;

    history.then(stream(1), samples::started(1));
    history.then(
        stream(1),
        VerificationEvent::from(ProofRequired {
            proof: Proof::PushChallenge,
        }),
    );
    let asked = session(&world, &history).await;
    assert_eq!(asked.number, Some(samples::number(1)));
    assert_eq!(asked.pni, samples::pni(1));
    assert_eq!(asked.required, [Proof::PushChallenge, Proof::Captcha]);
    assert_eq!((asked.checks, asked.verified), (None, false));

    history.then(
        stream(1),
        VerificationEvent::from(ProofSubmitted {
            proof: Proof::Captcha,
        }),
    );
    history.then(stream(1), sent(Transport::Sms));
    history.then(stream(1), VerificationEvent::from(CodeRejected {}));
    history.then(stream(1), VerificationEvent::from(CodeRejected {}));
    let tried = session(&world, &history).await;
    assert_eq!(
        (tried.required.as_slice(), tried.submitted.as_slice()),
        (&[][..], &[Proof::Captcha][..])
    );
    assert_eq!(
        (tried.sms.count, tried.sms.first, tried.sms.last),
        (1, Some(at(&history, 4)), Some(at(&history, 4)))
    );
    assert_eq!(
        tried.checks,
        Some(Checks {
            count: 2,
            last: Some(at(&history, 6))
        })
    );

    history.then(stream(1), sent(Transport::Sms));
    history.then(stream(1), sent(Transport::Voice));
    let sent_again = session(&world, &history).await;
    assert_eq!(
        (
            sent_again.sms.count,
            sent_again.sms.first,
            sent_again.sms.last
        ),
        (2, Some(at(&history, 4)), Some(at(&history, 7)))
    );
    assert_eq!(
        (sent_again.voice.count, sent_again.checks),
        (1, Some(Checks::default()))
    );

    history.then(
        stream(1),
        VerificationEvent::from(CodeUndelivered {
            transport: Transport::Voice,
            permanent: true,
        }),
    );
    let undelivered = session(&world, &history).await;
    assert_eq!(
        (
            undelivered.voice.closed,
            undelivered.sms.closed,
            undelivered.checks
        ),
        (true, false, None)
    );

    history.then(stream(1), VerificationEvent::from(NumberVerified {}));
    let verified = session(&world, &history).await;
    assert!(verified.verified);
    assert_eq!(verified.last_action_at, at(&history, 10));
    assert_eq!(verified.started_at, at(&history, 1));
    assert_eq!(verified.as_of, history.head());
}

#[tokio::test]
async fn sessions_about_a_number_go_with_its_account() {
    let world = World::new().await;
    let mut history = History::default();
    history.then(stream(1), samples::started(1));
    history.then(stream(2), samples::started(2));
    history.then(StreamId::account(samples::aci(1)), samples::deleted(1));
    history.then(stream(1), sent(Transport::Sms));
    world.apply(Model::VerificationSessions, &history).await;
    let sessions = world.queries.verification_sessions();
    assert_eq!(sessions.by_id(samples::session(1)).await.unwrap(), None);
    assert!(sessions.by_id(samples::session(2)).await.unwrap().is_some());
}
