//! The network of a world, which loses things.

use std::rc::Rc;
use std::time::Duration;

use edge402::facilitator_client::{Http, HttpAnswer, HttpRequest};
use edge402::rpc::{PostAnswer, TELL_TIMEOUT, Transport, TransportError};
use edge402::settlement::Host;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::{Fault, SimHost, World};

/// How long a message is on its way, in milliseconds.
const LATENCY: u64 = 20;

pub struct SimTransport(pub Rc<World>);

impl Transport for SimTransport {
    async fn post(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<PostAnswer, TransportError> {
        let world = &self.0;
        let gate = world.gate.borrow().clone();
        let _permit = match &gate {
            Some(gate) => Some(gate.enter(timeout).await),
            None => None,
        };
        self.carry(url, body, timeout).await
    }

    async fn tell(&self, url: &str, body: String) -> Result<PostAnswer, TransportError> {
        let gate = self.0.gate.borrow().clone();
        let permit = gate.map(|gate| gate.enter_to_tell().ok_or(TransportError::Unreachable));
        let _permit = permit.transpose()?;
        self.carry(url, body, TELL_TIMEOUT).await
    }

    async fn sleep(&self, duration: Duration) {
        self.0.clock.sleep(u64::try_from(duration.as_millis()).unwrap()).await;
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    fn log(&self, line: &str) {
        SimHost(Rc::clone(&self.0)).log(line);
    }
}

impl SimTransport {
    /// Carries a message that has its connection.
    async fn carry(
        &self,
        url: &str,
        body: String,
        timeout: Duration,
    ) -> Result<PostAnswer, TransportError> {
        let world = &self.0;
        let timeout = u64::try_from(timeout.as_millis()).unwrap();
        world.posts.set(world.posts.get() + 1);
        if world.tables.is_written.replace(false) && world.tables.disk_ms.get() > 0 {
            world.clock.sleep(world.tables.disk_ms.get()).await;
        }
        let fault = world.faults.borrow_mut().pop_front().unwrap_or(Fault::None);
        world.clock.sleep(LATENCY).await;
        match fault {
            Fault::LostBefore => {
                world.clock.sleep(timeout).await;
                return Err(TransportError::TimedOut);
            }
            Fault::Unreachable => return Err(TransportError::Unreachable),
            Fault::Status(status) => return Ok(PostAnswer { status, body: String::new() }),
            Fault::Garbage => {
                return Ok(PostAnswer { status: 200, body: "<html>busy</html>".into() });
            }
            Fault::Slow => world.clock.sleep(3_000).await,
            Fault::Never => std::future::pending().await,
            _ => {}
        }
        let deadline = world.clock.now_ms() + timeout;
        let message: Value = serde_json::from_str(&body).unwrap();
        let tempered = world.temper.borrow_mut().as_mut().and_then(|temper| temper(url, &message));
        match tempered {
            Some(Err(TransportError::TimedOut)) => {
                world.clock.sleep(timeout).await;
                return Err(TransportError::TimedOut);
            }
            Some(answer) => return answer,
            None => {}
        }
        let answer = match &message {
            Value::Array(calls) => {
                let mut answers = vec![];
                for call in calls {
                    answers.push(world.answer(url, call, fault, deadline).await?);
                }
                Value::Array(answers)
            }
            call => world.answer(url, call, fault, deadline).await?,
        };
        if fault == Fault::LostAfter {
            world.clock.sleep(timeout).await;
            return Err(TransportError::TimedOut);
        }
        world.clock.sleep(LATENCY).await;
        Ok(PostAnswer { status: 200, body: answer.to_string() })
    }
}

/// A request to something that is not a node.
#[derive(Clone, Debug)]
pub struct Asked {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub timeout_ms: u64,
}

pub trait Web {
    fn exchange(
        self: Rc<Self>,
        asked: Asked,
    ) -> LocalBoxFuture<'static, Result<HttpAnswer, TransportError>>;
}

impl Http for SimTransport {
    async fn exchange(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, TransportError> {
        let web = self.0.web.borrow().clone().expect("something that answers");
        let headers = request.headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let asked = Asked {
            url: request.url,
            headers: headers.collect(),
            body: request.body.map(str::to_owned),
            timeout_ms: u64::try_from(request.timeout.as_millis()).unwrap(),
        };
        self.0.clock.sleep(LATENCY).await;
        let answer = web.exchange(asked).await;
        self.0.clock.sleep(LATENCY).await;
        answer
    }
}
