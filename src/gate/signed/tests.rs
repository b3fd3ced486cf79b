//! The examples of RFC 9421 and of the draft.

use super::*;

struct Message;

impl Head for Message {
    fn method(&self) -> &'static str {
        "POST"
    }

    fn url(&self) -> &'static str {
        "https://Example.com:443/foo?param=Value&Pet=dog"
    }

    fn header(&self, _: &'static str) -> Option<String> {
        None
    }

    fn named_header(&self, name: &str) -> Option<String> {
        let text = match name {
            "date" => "Tue, 20 Apr 2021 02:07:55 GMT",
            "content-type" => "application/json",
            "content-length" => "18",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

#[test]
fn what_stands_in_quotes_is_not_split() {
    let parts = |text| split_outside_quotes(text, ',').collect::<Vec<_>>();
    assert_eq!(parts(r#"a="b,c",d"#), [r#"a="b,c""#, "d"]);
    assert_eq!(parts(r#"a,"b,c"#), ["a", r#""b,c"#]);
}

#[test]
fn the_example_of_rfc_9421_b_2_6_is_good() {
    let input = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \
                 \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    let base = Input::read(input).unwrap().base("", &Message).unwrap();
    let expected = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\
                    \"@authority\": example.com\n\"content-type\": application/json\n\
                    \"content-length\": 18\n\"@signature-params\": ";
    assert_eq!(base, format!("{expected}{input}"));
    let signature = decode_base64(
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        64,
    );
    let signature = Signature(signature.unwrap().try_into().unwrap());
    let jwk = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"test-key-ed25519",
        "x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}]}"#;
    let [key] = &read_directory(jwk)[..] else { panic!() };
    assert!(signature.is_by(&key.key, base.as_bytes()));
    assert!(!signature.is_by(&key.key, base.replace("18", "19").as_bytes()));
    assert_eq!(key.thumbprint, "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U");
}

/// A request of the draft's examples.
struct Example<'a>(&'a str);

impl Head for Example<'_> {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn url(&self) -> &'static str {
        "https://example.com/path/to/resource"
    }

    fn header(&self, name: &'static str) -> Option<String> {
        (name == "Signature-Agent" && !self.0.is_empty()).then(|| self.0.to_owned())
    }
}

/// The examples for ed25519 that go with the draft (`web_bot_auth_architecture_v2.json`
/// of its authors). They are good for a century, which nobody is taken for here.
#[test]
fn the_examples_of_the_draft_are_good() {
    let jwk = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"test-key-ed25519",
        "x":"JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}]}"#;
    let [key] = &read_directory(jwk)[..] else { panic!() };
    let agents = r#"agent2="https://signature-agent.test""#;
    for (components, agents, nonce, signature) in [
        (
            r#""@authority""#,
            "",
            "zIW8+cdmA3vdYagbxojpONwa/l0EKJ/O3/wD486VvsQjO/RxPaSt6ZxvQaMcQzNnqKN/mQ6hpGiFro2L2qkz5A==",
            "QKN4fTdIYfh82fvoZCQiQA1weuozfCS/Led2zTMbewMMqH8PI2Wsy/5c4ao6B6D09nraNQdBNOADg8aM1MqfCg==",
        ),
        (
            r#""@authority" "signature-agent";key="agent2""#,
            agents,
            "n9p433xm+NJ3ph3upfBIGmsuwHw387YV7Q/F+6BSpGCVjYCqQw6rznNA8PVVLySrAWsv0hQtFioQb6E1YsauiA==",
            "RdNFx5Bj6au3YgAMQL/RzmUlZE8QZLIaXGRpw985hWnwPfMxT228NMk6ehRS1PSl4e8PhbNZACSanGdhEwYCCg==",
        ),
    ] {
        let input = format!(
            "({components});created=1735689600;keyid=\"poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U\";\
             alg=\"ed25519\";expires=4889289600;nonce=\"{nonce}\";tag=\"web-bot-auth\""
        );
        let read = Input::read(&input).unwrap();
        assert_eq!((read.key, read.nonce), (Some(key.thumbprint.as_str()), Some(nonce)));
        let bytes = decode_base64(signature, 64).unwrap().try_into().unwrap();
        let base = read.base(agents, &Example(agents)).unwrap();
        assert!(Signature(bytes).is_by(&key.key, base.as_bytes()), "{base}");
        let other = base.replace("example.com", "example.org");
        assert!(!Signature(bytes).is_by(&key.key, other.as_bytes()));
        let signature = format!(":{signature}:");
        let request = |at| read.request(agents, &signature, &Example(agents), UnixSeconds(at));
        assert_eq!(request(1_735_689_660), None, "a century is too long");
        // The same for an hour, as if the signature were of that.
        let hour = input.replace("expires=4889289600", "expires=1735693200");
        let hour = Input::read(&hour).unwrap();
        let request =
            hour.request(agents, &signature, &Example(agents), UnixSeconds(1_735_689_660));
        let host = request.map(|it| {
            (it.is_by_one_of(std::slice::from_ref(key), UnixSeconds(1_735_689_660)), it.host)
        });
        let expected = (!agents.is_empty()).then(|| (false, "signature-agent.test".to_owned()));
        assert_eq!(host, expected);
    }
}
