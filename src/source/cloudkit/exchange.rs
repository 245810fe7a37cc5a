//! One request with its operations, and the answers sorted to them.
//!
//! Source: facts of CloudKit, 1.2 to 1.4 and 1.7.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::apple::session::Session;
use crate::base::limits;
use crate::base::tasks::TaskGroup;
use crate::codec::cloudkit::Inflater;
use crate::codec::cloudkit::Operation;
use crate::codec::cloudkit::OperationKind;
use crate::codec::cloudkit::RequestOperation;
use crate::codec::cloudkit::ResponseOperation;
use crate::codec::cloudkit::Wire;
use crate::codec::cloudkit::WireFields;
use crate::codec::cloudkit::deflate;
use crate::codec::cloudkit::encode_requests;
use crate::codec::cloudkit::frames;
use crate::codec::cloudkit::reaction;
use crate::net::HeaderMap;
use crate::net::HeaderName;
use crate::net::HeaderValue;
use crate::net::Method;
use crate::net::client::Client;
use crate::net::client::ClientRequest;
use crate::net::client::ClientResponse;
use crate::net::client::Protocols;
use crate::net::client::Roots;
use crate::net::header::CONTENT_ENCODING;
use crate::net::header::CONTENT_TYPE;
use crate::net::header::RETRY_AFTER;
use crate::source::cloudkit::Answers;
use crate::source::cloudkit::CloudError;
use crate::source::cloudkit::Gateway;
use crate::source::cloudkit::SetupError;
use crate::source::cloudkit::anisette::Machine;
use crate::source::cloudkit::header;
use crate::source::cloudkit::header::Speaker;

/// The gateway with what is needed to speak to it.
pub(crate) struct Exchange {
    pub(crate) gateway: Gateway,
    pub(crate) speaker: Speaker,
    machine: Machine,
    client: Client,
    user: OnceCell<HeaderValue>,
}

/// The answer to the first request of all.
#[derive(Deserialize)]
struct Init {
    #[serde(rename = "cloudKitUserId")]
    user: String,
}

impl Exchange {
    pub(crate) fn new(
        session: &Session,
        gateway: Gateway,
        speaker: Speaker,
        roots: &Roots,
        tasks: &TaskGroup,
    ) -> Result<Self, SetupError> {
        let user = session.cloudkit_user_id.as_deref();
        let user = user.map(|user| header::secret(user, "cloudkit_user_id"));
        Ok(Self {
            gateway,
            speaker,
            machine: Machine::new(session.anisette.as_ref())?,
            client: Client::new(tasks, roots, Protocols::Any)?,
            user: OnceCell::new_with(user.transpose()?),
        })
    }

    /// The user id; asked from the server the first time, unless the session had it.
    pub(crate) async fn user(&self) -> Result<&str, CloudError> {
        let header = self.user_header().await?;
        // It was made of text.
        Ok(header.to_str().unwrap_or_default())
    }

    async fn user_header(&self) -> Result<&HeaderValue, CloudError> {
        self.user.get_or_try_init(|| self.ask_user()).await
    }

    async fn ask_user(&self) -> Result<HeaderValue, CloudError> {
        let anisette = self.machine.headers(&self.client).await?;
        let headers = self.speaker.init_headers(anisette);
        let body = self.post(header::INIT_PATH, headers, Bytes::new()).await?;
        let wanted = "user id";
        let init: Init =
            serde_json::from_slice(&body).map_err(|_other| CloudError::Empty { wanted })?;
        header::secret(&init.user, "cloudkit_user_id")
            .ok()
            .filter(|user| !user.is_empty())
            .ok_or(CloudError::Empty { wanted })
    }

    /// Asks operations of one kind, and gives the answer of each, in their order. `fill` puts in what is asked.
    ///
    /// # Errors
    /// What is wrong with a request as a whole: then none of the answers is given.
    pub(crate) async fn ask<T>(
        &self,
        kind: OperationKind,
        questions: &[T],
        fill: impl Fn(&mut RequestOperation, &T, &str) + Sync,
    ) -> Answers<ResponseOperation>
    where
        T: Sync,
    {
        let user = self.user_header().await?;
        let name = user.to_str().unwrap_or_default();
        let mut answers = Vec::with_capacity(questions.len());
        for questions in questions.chunks(limits::CLOUDKIT_BATCH) {
            let operations = self.operations(kind, questions, |operation, question| {
                fill(operation, question, name);
            });
            let body = deflate(&encode_requests(&operations));
            let anisette = self.machine.headers(&self.client).await?;
            let headers = self.speaker.database_headers(anisette, user);
            let body = self.post(header::path(kind), headers, body.into()).await?;
            answers.append(&mut sort(&operations, &body)?);
        }
        Ok(answers)
    }

    fn operations<T>(
        &self,
        kind: OperationKind,
        questions: &[T],
        fill: impl Fn(&mut RequestOperation, &T),
    ) -> Vec<RequestOperation> {
        let last = questions.len().saturating_sub(1);
        let operation = |(at, question)| {
            let mut operation = RequestOperation {
                header: (at == 0).then(|| self.speaker.header(kind)),
                operation: Some(Operation {
                    id: Some(self.speaker.uuid()),
                    kind: Some(kind.number()),
                    synchronous: None,
                    last: Some(at == last),
                }),
                ..RequestOperation::default()
            };
            fill(&mut operation, question);
            operation
        };
        questions.iter().enumerate().map(operation).collect()
    }

    /// Sends a request to the gateway, and gives the body of a success, inflated.
    async fn post(
        &self,
        path: &'static str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, CloudError> {
        let request = ClientRequest {
            method: Method::POST,
            url: self.gateway.url(path).ok_or(CloudError::Address)?,
            headers,
            body,
        };
        let wait = self.gateway.delay(limits::CLOUDKIT_HEAD_TIMEOUT);
        let answer = self.client.send(request, wait).await?;
        let status = answer.status;
        if !status.is_success() {
            tracing::debug!(path, status = status.as_u16(), "cloudkit refused a request");
            return Err(CloudError::Status {
                status: status.as_u16(),
                after: retry_after(&answer),
            });
        }
        let is_text = header_begins(&answer, CONTENT_TYPE, "text/");
        let is_gzip = header_begins(&answer, CONTENT_ENCODING, "gzip");
        let wait = self.gateway.delay(limits::CLOUDKIT_CHUNK_TIMEOUT);
        let body = answer.bytes(limits::CLOUDKIT_BODY_BYTES, wait).await?;
        tracing::debug!(path, bytes = body.len(), "cloudkit answered");
        if is_text {
            return Err(CloudError::Foreign);
        }
        if !is_gzip {
            return Ok(body);
        }
        let inflated = Inflater::default().inflate(&body, limits::CLOUDKIT_BODY_BYTES)?;
        Ok(inflated.into())
    }
}

fn header_begins(answer: &ClientResponse, name: HeaderName, beginning: &str) -> bool {
    let value = answer.headers.get(name);
    let value = value.and_then(|value| value.as_bytes().get(..beginning.len()));
    value.is_some_and(|value| value.eq_ignore_ascii_case(beginning.as_bytes()))
}

/// When to ask again, of a header in seconds. Its other form, a date, is not worth trusting two clocks for.
pub(crate) fn retry_after(answer: &ClientResponse) -> Option<Duration> {
    let value = answer.headers.get(RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// The answers of a body in the order of the operations, by their ids.
///
/// One that cannot be read spoils no other, and one that is not there is a failure of its operation alone.
fn sort(operations: &[RequestOperation], body: &Bytes) -> Answers<ResponseOperation> {
    let mut found = HashMap::new();
    for frame in frames(body)? {
        let (id, answer) = match ResponseOperation::read(frame.clone()) {
            Ok(answer) => (answer.id().to_owned(), Ok(answer)),
            Err(_malformed) => match operation_id(&frame) {
                Some(id) => (id, Err(CloudError::Empty { wanted: "content" })),
                // It is no answer to anything: HTML, or damaged.
                None => return Err(CloudError::Foreign),
            },
        };
        if id.is_empty()
            && let Ok(answer) = &answer
            && let Some(failure) = reaction(answer.result.as_ref())
        {
            // It names no operation, so it is about all of them.
            return Err(CloudError::refused(failure, answer.result.as_ref()));
        }
        found.entry(id).or_insert(answer);
    }
    let answer_of = |asked: &RequestOperation| {
        let id = asked.operation.as_ref().and_then(|it| it.id.as_deref())?;
        found.remove(id)
    };
    let answers = operations.iter().map(answer_of);
    let checked = |answer: Option<Result<ResponseOperation, CloudError>>| {
        let answer = answer.unwrap_or(Err(CloudError::Unanswered))?;
        match reaction(answer.result.as_ref()) {
            None => Ok(answer),
            Some(failure) => Err(CloudError::refused(failure, answer.result.as_ref())),
        }
    };
    Ok(answers.map(checked).collect())
}

/// The id in an answer that cannot be read as a whole: its field 2, and in that field 1.
fn operation_id(frame: &[u8]) -> Option<String> {
    let member = |bytes: &[u8], wanted: u32| {
        WireFields::new(bytes)
            .map_while(Result::ok)
            .find_map(|(number, value)| (number == wanted).then(|| Wire::bytes(value)).flatten())
            .map(<[u8]>::to_vec)
    };
    String::from_utf8(member(&member(frame, 2)?, 1)?).ok()
}
