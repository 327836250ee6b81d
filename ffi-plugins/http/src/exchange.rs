//! One exchange: a request, its redirects, its response, within its time.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures::future::{Either, select};
use mix_plugin_sdk::{Answer, Failure, IntoAnswer, Many, Map, sleep};
use url::{Origin, Url};

use crate::delivery::{self, Delivery};
use crate::guard;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::response::{Head, Wishes};
use crate::transport;

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// Headers that are for one origin only.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// The time that an exchange has, body included.
pub struct Clock {
    time: Duration,
    end: Pin<Box<dyn Future<Output = ()>>>,
}

impl Clock {
    fn new(time: Duration) -> Clock {
        Clock {
            time,
            end: Box::pin(sleep(time)),
        }
    }

    /// Does work as long as there is time.
    pub async fn within<T>(
        &mut self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        match select(pin!(work), &mut self.end).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Err(Refusal::new(
                "ERR_TIMEOUT",
                format!("no complete response within {} s", self.time.as_secs_f64()),
            )),
        }
    }
}

/// Performs the request of a map; the answer is a response map in any case, or the parts of one.
pub async fn perform(map: &Map) -> Result<Answer, Failure> {
    let request = match Request::parse(map)? {
        Ok(request) => request,
        Err(refusal) => return refusal.response().into_answer(),
    };
    let limits = Limits::of_environment();
    if request.client_tls.is_some() && !limits.client_tls {
        let text = "client certificates are not available in this host";
        return Refusal::new("ERR_UNSUPPORTED", text)
            .response()
            .into_answer();
    }
    let time = request
        .timeout
        .unwrap_or(limits.timeout)
        .min(limits.timeout);
    let requested = request.url.to_string();
    let wishes = Wishes {
        binary: request.binary,
        media_types: request.media_types.clone(),
        undo_gzip: request.undo_gzip,
        limit: limits.response,
    };
    let mut clock = Clock::new(time);
    let exchange = async {
        let (head, body) = follow(request, &limits, transport::send).await?;
        delivery::begin(head, body, &requested, wishes).await
    };
    match clock.within(exchange).await {
        Ok(Delivery::Whole(map)) => map.into_answer(),
        Ok(Delivery::Parts(parts)) => {
            Ok(Answer::Many(Many::new(move |sink| parts.send(sink, clock))))
        }
        Err(refusal) => refusal.response().into_answer(),
    }
}

/// Sends a request and follows redirects. Each target is judged before anything is sent there.
async fn follow<B>(
    mut request: Request,
    limits: &Limits,
    send: impl AsyncFn(&Request) -> Result<(Head, B), Refusal>,
) -> Result<(Head, B), Refusal> {
    let mut before: Option<Origin> = None;
    for _ in 0..=MOST_REDIRECTS {
        let origin = request.url.origin();
        let is_own = limits.own.as_ref() == Some(&origin);
        if !is_own {
            guard::check(&request.url, limits.dangerous)?;
        } else if before.is_some_and(|before| before != origin) {
            // Whoever is asked elsewhere does not decide what this run asks of its own server.
            return Err(Refusal::blocked("address"));
        }
        before = Some(origin.clone());
        let allowed = |number| limits.allow_token(number, &origin);
        if !request.token.is_none_or(allowed) {
            return Err(Refusal::blocked("token"));
        }
        let (head, body) = send(&request).await?;
        match target(&request.url, &head)? {
            None => return Ok((head, body)),
            Some(url) => {
                let origin = request.url.origin();
                redirect(&mut request, head.status, url);
                // Only a server knows tokens, and takes what is said about them off the request.
                request.is_redirected |= limits.own.is_some() && origin != request.url.origin();
            }
        }
    }
    Err(Refusal::blocked("redirects"))
}

/// Where a response redirects to, if it does.
fn target(base: &Url, response: &Head) -> Result<Option<Url>, Refusal> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.header("location") else {
        return Ok(None);
    };
    let mut url = base
        .join(&location)
        .map_err(|error| Refusal::new("ERR_URL", format!("bad redirect: {error}")))?;
    url.set_fragment(None);
    guard::parse(url.as_str()).map(Some)
}

fn redirect(request: &mut Request, status: u16, url: Url) {
    if matches!(status, 301..=303) && request.method != "HEAD" {
        request.method = "GET".to_string();
        request.body = None;
        request
            .headers
            .retain(|(name, _)| !name.starts_with("content-"));
    }
    if request.url.origin() != url.origin() {
        request.token = None;
        request
            .headers
            .retain(|(name, _)| !SECRET.contains(&name.as_str()));
        request.client_tls = None;
    }
    request.url = url;
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::Value;
    use mix_plugin_sdk::mix_value::Token;

    use super::*;

    fn request(method: &str) -> Request {
        let map = Map::from([
            ("url".into(), Value::string("https://a.example.com/x/y")),
            ("method".into(), Value::string(method)),
            ("body".into(), Value::string("b")),
            ("oauthToken".into(), Value::string("t")),
        ]);
        Request::parse(&map).unwrap().unwrap()
    }

    fn answer(status: u16, location: &str) -> Head {
        Head {
            status,
            headers: vec![("Location".into(), location.as_bytes().to_vec())],
        }
    }

    fn has(request: &Request, name: &str) -> bool {
        request.headers.iter().any(|(own, _)| own == name)
    }

    #[test]
    fn methods_of_redirects() {
        for (status, method, next) in [
            (301, "POST", "GET"),
            (302, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (307, "POST", "POST"),
            (308, "PATCH", "PATCH"),
        ] {
            let mut request = request(method);
            let url = target(&request.url, &answer(status, "../z?q"))
                .unwrap()
                .unwrap();
            redirect(&mut request, status, url);
            assert_eq!(
                (request.method.as_str(), request.url.as_str()),
                (next, "https://a.example.com/z?q")
            );
            assert_eq!(request.body.is_some(), next != "GET", "{status}");
            assert_eq!(has(&request, "content-type"), next != "GET");
            assert!(has(&request, "authorization"));
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        for location in [
            "https://b.example.com/",
            "http://a.example.com/",
            "https://a.example.com:444/",
        ] {
            let mut request = request("GET");
            request.client_tls = Some("pem".to_string());
            let url = target(&request.url, &answer(302, location))
                .unwrap()
                .unwrap();
            redirect(&mut request, 302, url);
            assert!(!has(&request, "authorization"), "{location}");
            assert!(request.client_tls.is_none(), "{location}");
        }
    }

    #[test]
    fn a_redirect_from_elsewhere_gets_no_token_of_the_host() {
        use futures::FutureExt;
        use std::cell::RefCell;

        let own = Url::parse("http://127.0.0.1:8000").unwrap().origin();
        for (own, expected) in [
            (Some(own), [false, false, true, true, true]),
            (None, [false; 5]),
        ] {
            let limits = Limits { own, ..strict() };
            let seen = RefCell::new(Vec::new());
            let send = async |request: &Request| {
                seen.borrow_mut().push(request.is_redirected);
                let next = match request.url.path() {
                    "/x/y" => "/same",
                    "/same" => "https://b.example.com/other",
                    "/other" => "/on",
                    // Coming back is no way to get one again.
                    "/on" => "https://a.example.com/end",
                    _ => return Ok((answer(200, ""), ())),
                };
                Ok((answer(302, next), ()))
            };
            let done = follow(request("GET"), &limits, send).now_or_never();
            assert!(done.expect("at once").is_ok());
            assert_eq!(seen.into_inner(), expected);
        }
    }

    #[test]
    fn redirects_keep_the_rules() {
        use futures::FutureExt;
        use std::cell::RefCell;

        // What is asked for first redirects to each of these.
        for (to, result) in [
            ("https://b.example.com/", Ok(200)),
            ("//b.example.com/", Ok(200)),
            ("/elsewhere", Ok(200)),
            ("http://a.example.com/", Err("scheme")),
            ("ftp://a.example.com/", Err("scheme")),
            ("https://169.254.169.254/", Err("address")),
            ("https://[fd00:ec2::254]/", Err("address")),
            ("https://0x7f.1/", Err("address")),
            ("https://db/", Err("host")),
            ("https://vault.internal/", Err("host")),
            ("https://user:pw@b.example.com/", Err("userinfo")),
            ("https://a.example.com/x/y", Err("redirects")),
        ] {
            let asked = RefCell::new(Vec::new());
            let first = request("GET");
            let start = first.url.to_string();
            let send = async |request: &Request| {
                asked.borrow_mut().push(request.url.to_string());
                let head = match request.url.as_str() == start {
                    true => answer(302, to),
                    false => answer(200, ""),
                };
                Ok((head, ()))
            };
            let done = follow(first, &strict(), send)
                .now_or_never()
                .expect("at once");
            let done = done
                .map(|(head, ())| head.status)
                .map_err(|refusal| refusal.text);
            assert_eq!(done, result.map_err(str::to_owned), "{to}");
            let sent = match result {
                Ok(_) => 2,
                Err("redirects") => 1 + MOST_REDIRECTS,
                Err(_) => 1,
            };
            assert_eq!(asked.borrow().len(), sent, "{to}");
        }
    }

    fn strict() -> Limits {
        Limits {
            dangerous: false,
            own: None,
            callers_token: None,
            trusted: vec![],
            timeout: Duration::from_secs(1),
            response: 1,
            client_tls: true,
        }
    }

    #[test]
    fn tokens_of_the_host_go_where_they_are_known() {
        use futures::FutureExt;

        let origin = |text: &str| Url::parse(text).unwrap().origin();
        let limits = Limits {
            own: Some(origin("http://127.0.0.1:8000")),
            callers_token: Some(1),
            trusted: vec![
                origin("http://127.0.0.1:8000"),
                origin("https://b.example.com"),
            ],
            ..strict()
        };
        for (url, result) in [
            ("http://127.0.0.1:8000/x", Ok(())),
            ("http://127.0.0.1:8001/x", Err("scheme")),
            ("https://b.example.com/", Ok(())),
            ("https://a.example.com/", Err("token")),
            ("https://b.example.com:444/", Err("token")),
        ] {
            let map = Map::from([
                ("url".into(), Value::string(url)),
                ("oauthToken".into(), Value::Token(Token::Reference(1))),
            ]);
            let request = Request::parse(&map).unwrap().unwrap();
            let send = async |request: &Request| {
                assert_eq!(request.token, Some(1), "{url}");
                assert!(!has(request, "authorization"), "{url}");
                Ok((answer(200, ""), ()))
            };
            let done = follow(request, &limits, send)
                .now_or_never()
                .expect("at once");
            let done = done.map(|_| ()).map_err(|refusal| refusal.text);
            assert_eq!(done, result.map_err(str::to_owned), "{url}");
        }
        // Of another token the server judges, where there is one.
        let mut other = request("GET");
        other.token = Some(2);
        for (limits, result) in [(&limits, Ok(())), (&strict(), Err("token".to_owned()))] {
            let send = async |request: &Request| {
                assert_eq!(request.token, Some(2));
                Ok((answer(200, ""), ()))
            };
            let done = follow(other.clone(), limits, send).now_or_never();
            let done = done.expect("at once").map(|_| ());
            assert_eq!(done.map_err(|refusal| refusal.text), result);
        }
        // Nobody else sends a run to its own server.
        let map = Map::from([("url".into(), Value::string("https://a.example.com/"))]);
        let asked = Request::parse(&map).unwrap().unwrap();
        let send = async |_: &Request| Ok((answer(302, "http://127.0.0.1:8000/x"), ()));
        let done = follow(asked, &limits, send)
            .now_or_never()
            .expect("at once");
        assert_eq!(
            done.map(|_| ()).map_err(|refusal| refusal.text),
            Err("address".to_owned())
        );
        // Nor does a token follow to another origin.
        let mut request = request("GET");
        request.token = Some(1);
        redirect(
            &mut request,
            302,
            Url::parse("https://b.example.com/").unwrap(),
        );
        assert_eq!(request.token, None);
        // The empty token is none.
        let map = Map::from([
            ("url".into(), Value::string("https://a.example.com/")),
            ("oauthToken".into(), Value::Token(Token::Sealed([].into()))),
        ]);
        let request = Request::parse(&map).unwrap().unwrap();
        assert!(request.token.is_none() && !has(&request, "authorization"));
    }

    #[test]
    fn other_answers_are_final() {
        let base = Url::parse("https://a.example.com/").unwrap();
        assert_eq!(target(&base, &answer(200, "/x")), Ok(None));
        assert_eq!(target(&base, &answer(304, "/x")), Ok(None));
        let silent = Head {
            status: 302,
            headers: vec![],
        };
        assert_eq!(target(&base, &silent), Ok(None));
        assert_eq!(
            target(&base, &answer(302, "https://[")).unwrap_err().code,
            "ERR_URL"
        );
    }
}
