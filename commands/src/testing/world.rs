//! A log in memory, an executor on it, and people in it.

use std::fmt::Debug;
use std::sync::Arc;

use events::codec::Fact;
use events::verification::Transport;
use events::{Actor, AnyEvent, RequestId, StreamId};
use testkit::environment::{FrozenClock, SeededEntropy};
use testkit::memory::MemoryStore;

use super::fixtures::{
    CODE, aci, link, message, number, pni, policy, register, salted, secret, session,
};
use crate::account::Account;
use crate::aggregate::Aggregate;
use crate::command::Command;
use crate::executor::{Executed, Executor, Failure, RequestContext};
use crate::message::send_message::{SendMessage, Sender};
use crate::verification::request_code::RequestCode;
use crate::verification::start_session::StartSession;
use crate::verification::submit_code::SubmitCode;

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) clock: Arc<FrozenClock>,
    pub(crate) executor: Executor,
    entropy: Arc<SeededEntropy>,
}

impl Default for World {
    fn default() -> Self {
        let clock = Arc::new(FrozenClock::default());
        let entropy = Arc::new(SeededEntropy::default());
        let store = MemoryStore::new(clock.clone(), entropy.clone());
        let executor = executor_on(&store, &clock, &entropy);
        Self {
            store,
            clock,
            executor,
            entropy,
        }
    }
}

fn executor_on(
    store: &MemoryStore,
    clock: &Arc<FrozenClock>,
    entropy: &Arc<SeededEntropy>,
) -> Executor {
    let store = Arc::new(store.clone());
    Executor::new(
        store.clone(),
        store.clone(),
        store,
        clock.clone(),
        entropy.clone(),
    )
}

impl World {
    /// A world with these people in it.
    pub(crate) async fn with_people(people: impl IntoIterator<Item = u32>) -> Self {
        let world = Self::default();
        for n in people {
            world.verify(n).await;
            world.run(&register(n)).await;
        }
        world
    }

    /// Another node on the same log.
    pub(crate) fn another_node(&self) -> Executor {
        executor_on(&self.store, &self.clock, &self.entropy)
    }

    pub(crate) fn request(&self) -> RequestContext {
        self.executor.request_by(Actor::Anonymous)
    }

    pub(crate) async fn try_run<C: Command>(
        &self,
        command: &C,
    ) -> Result<Executed<C::Done>, Failure<C::Refused>> {
        self.executor.execute(command, &self.request()).await
    }

    pub(crate) async fn run<C: Command>(&self, command: &C) -> C::Done {
        match self.try_run(command).await {
            Ok(executed) => executed.done,
            Err(failure) => panic!("{} failed: {failure:?}", C::NAME),
        }
    }

    pub(crate) async fn refused<C: Command>(&self, command: &C) -> C::Refused
    where
        C::Done: Debug,
    {
        match self.try_run(command).await {
            Err(Failure::Refused(refused)) => refused,
            other => panic!("{} was not refused: {other:?}", C::NAME),
        }
    }

    /// Takes the `n`th number through the `n`th session.
    pub(crate) async fn verify(&self, n: u32) {
        self.verify_in(n, n).await;
    }

    /// Takes the `n`th number through session `s`.
    pub(crate) async fn verify_in(&self, s: u32, n: u32) {
        let submit = self.code_for(s, n).await;
        assert!(self.run(&submit).await.verified);
    }

    /// Has a code sent to the `n`th number in session `s`; the command that submits it.
    pub(crate) async fn code_for(&self, s: u32, n: u32) -> SubmitCode {
        let (session, policy) = (session(s), policy());
        let (number, pni, required) = (number(n), pni(n), vec![]);
        self.run(&StartSession {
            session,
            number,
            pni,
            required,
            push_challenge: None,
            policy: policy.clone(),
        })
        .await;
        let (transport, code) = (Transport::Sms, salted(CODE));
        self.run(&RequestCode {
            session,
            transport,
            code,
            policy: policy.clone(),
        })
        .await;
        SubmitCode {
            session,
            code: secret(CODE),
            policy,
        }
    }

    /// Links another device to the `n`th person's account.
    pub(crate) async fn link(&self, n: u32, spends: u8) -> events::ids::DeviceAddress {
        self.run(&link(n, spends)).await.address
    }

    /// A message for all devices of the recipient but the sending one.
    pub(crate) async fn message_to(&self, to: u32, sender: Sender) -> SendMessage {
        let live = self.state::<Account>(aci(to)).await.live.unwrap();
        let own = match sender {
            Sender::Identified(from, device) if from == aci(to) => Some(device),
            _ => None,
        };
        let others = live.devices.iter().filter(|(id, _)| Some(**id) != own);
        let known = others.map(|(id, device)| (*id, Some(device.registration_id.into())));
        message(aci(to).into(), sender, known)
    }

    /// The state as this node knows it.
    pub(crate) async fn state<A: Aggregate>(&self, id: A::Id) -> A {
        let (state, _) = self.executor.catch_up::<A>(&A::stream(id)).await.unwrap();
        Arc::unwrap_or_clone(state)
    }

    /// What happened in a stream.
    pub(crate) fn history(&self, stream: &StreamId) -> Vec<AnyEvent> {
        let events = self.store.events();
        let of_stream = events.iter().filter(|recorded| recorded.stream == *stream);
        of_stream
            .map(|recorded| Fact::decode(recorded).unwrap().event)
            .collect()
    }

    /// The kinds of the events that a request caused, in order.
    pub(crate) fn kinds_of(&self, request: RequestId) -> Vec<&'static str> {
        let events = self.store.events();
        let facts = events
            .iter()
            .map(|recorded| Fact::decode(recorded).unwrap());
        facts
            .filter(|fact| fact.metadata.request == request)
            .map(|f| f.event.type_name())
            .collect()
    }
}
