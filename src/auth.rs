//! FLOOR 2. Logging in with a password that never crosses the wire, nor anything it could be guessed from.
//!
//! OPAQUE (RFC 9807) by the crate `opaque-ke`: the client sends its name and `m1`, the server answers `m2`,
//! the client finishes with `m3`. Whoever listens learns nothing about the password; whoever sits between, or plays the
//! server or the client, can try one guess for each connection and no more. `m2` proves to the client that
//! the server knows the password, `m3` proves to the server that the client does. Both proofs cover the
//! transcript, so hellos that were changed on the way do not pass.
//!
//! The server has the password itself (its secrets file is a list of them), so it makes the OPAQUE record
//! anew for each login, under keys of that moment: nothing has to be kept, and nothing links two logins. The
//! record is not stretched: what stretching would protect, the record, never leaves the process.
//!
//! A user who does not exist gets an answer made with a random password, by the same steps.

use opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialFinalization, CredentialRequest, CredentialResponse,
    Identifiers, ServerLogin, ServerLoginParameters, ServerRegistration, ServerSetup, TripleDh,
};
use rand_core::{OsRng, RngCore as _};
use zeroize::{Zeroize as _, Zeroizing};

/// What the session key is derived for; another protocol with the same password gets another key.
const SESSION: &str = "sluice 2026-11 session key from OPAQUE";

/// What the transcript is hashed for.
const TRANSCRIPT: &str = "sluice 2026-11 transcript of hello, module and user";

/// The longest password, in bytes. A guess: nobody has a longer one, and a peer sends none.
pub const MAX_PASSWORD: usize = 1024;

/// Group, key exchange and hash, as RFC 9807 recommends them; see the module for the missing stretching.
struct Suite;

impl CipherSuite for Suite {
    type OprfCs = opaque_ke::Ristretto255;
    type KeyExchange = TripleDh<opaque_ke::Ristretto255, sha2::Sha512>;
    type Ksf = opaque_ke::ksf::Identity;
}

/// A password: overwritten when it is let go, never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Takes `bytes` for a password.
    ///
    /// # Errors
    ///
    /// Nothing, for an empty one or one that is longer than [`MAX_PASSWORD`]: neither lets anybody in.
    pub fn new(bytes: Vec<u8>) -> Option<Password> {
        let password = Zeroizing::new(bytes);
        (1..=MAX_PASSWORD).contains(&password.len()).then_some(Password(password))
    }

    /// One that nobody knows.
    fn random() -> Password {
        let mut bytes = vec![0; 32];
        OsRng.fill_bytes(&mut bytes);
        Password(Zeroizing::new(bytes))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The key that only the two ends of one session know: 32 bytes. Overwritten when it is let go, never shown.
#[derive(Clone)]
pub struct SessionKey(Zeroizing<[u8; 32]>);

impl SessionKey {
    fn derive(shared: &mut [u8]) -> SessionKey {
        let key = SessionKey(Zeroizing::new(blake3::derive_key(SESSION, shared)));
        shared.zeroize();
        key
    }

    /// The bytes, for keying a hash.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

/// What both sides saw before the login; a login succeeds only if it is the same on both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transcript([u8; 32]);

impl Transcript {
    /// Made of both hellos as they went over the wire, the module and the user that the client asked for.
    #[must_use]
    pub fn new(client_hello: &[u8], server_hello: &[u8], module: &[u8], user: &[u8]) -> Transcript {
        let mut hasher = blake3::Hasher::new_derive_key(TRANSCRIPT);
        for part in [client_hello, server_hello, module, user] {
            // With their lengths, so that nothing can move from one to the next.
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Transcript(hasher.finalize().into())
    }

    fn identifiers(&self) -> Identifiers<'_> {
        // The transcript names both: who they are is part of it.
        Identifiers { client: Some(&self.0), server: Some(&self.0) }
    }
}

/// The login failed. It does not say why: neither side may learn more than that from the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuthError;

impl std::fmt::Display for AuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("authentication failed")
    }
}

impl std::error::Error for AuthError {}

impl<T> From<opaque_ke::errors::ProtocolError<T>> for AuthError {
    fn from(_: opaque_ke::errors::ProtocolError<T>) -> AuthError {
        AuthError
    }
}

/// The client, waiting for `m2`.
pub struct Client {
    state: ClientLogin<Suite>,
    password: Password,
    transcript: Transcript,
}

impl Client {
    /// Begins a login of `user`: the state, and for the server the length of the name (a byte), the name and
    /// `m1`. `transcript` names the same user.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: the name is empty or longer than 255 bytes.
    pub fn start(
        user: &[u8],
        password: Password,
        transcript: Transcript,
    ) -> Result<(Client, Vec<u8>), AuthError> {
        let length = u8::try_from(user.len()).ok().filter(|length| *length > 0).ok_or(AuthError)?;
        let start = ClientLogin::<Suite>::start(&mut OsRng, &password.0)?;
        let message = [&[length], user, &start.message.serialize()].concat();
        Ok((Client { state: start.state, password, transcript }, message))
    }

    /// Checks `m2`, which proves that the server knows the password; returns the key and `m3`.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: the password is wrong, or this is not the server, or something was changed on the
    /// way. The connection ends; `m3` is not sent.
    pub fn finish(self, message: &[u8]) -> Result<(SessionKey, Vec<u8>), AuthError> {
        let response = CredentialResponse::deserialize(message)?;
        let parameters =
            ClientLoginFinishParameters::new(Some(&self.transcript.0), self.transcript.identifiers(), None);
        let mut finish = self.state.finish(&mut OsRng, &self.password.0, response, parameters)?;
        let message = finish.message.serialize().to_vec();
        Ok((SessionKey::derive(&mut finish.session_key), message))
    }
}

/// What a client begins a login with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct First<'a> {
    /// Who it says it is: 1 to 255 bytes.
    pub user: &'a [u8],
    /// For [`Server::answer`].
    m1: &'a [u8],
}

impl First<'_> {
    /// Takes a client's first message apart.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: it has no name in it.
    pub fn parse(message: &[u8]) -> Result<First<'_>, AuthError> {
        let (length, rest) = message.split_first().ok_or(AuthError)?;
        let (user, m1) = rest.split_at_checked(usize::from(*length)).ok_or(AuthError)?;
        if user.is_empty() { Err(AuthError) } else { Ok(First { user, m1 }) }
    }
}

/// The server, waiting for `m3`.
pub struct Server {
    state: ServerLogin<Suite>,
    transcript: Transcript,
    /// The user may log in, if the password is right.
    known: bool,
}

impl Server {
    /// Answers `m1`: the state, and `m2` for the client. `password` is `None` for a user who may not log
    /// in; the answer looks the same, takes the same steps, and no `m3` will do.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: `first` has no `m1` in it.
    pub fn answer(
        password: Option<&Password>,
        first: &First<'_>,
        transcript: Transcript,
    ) -> Result<(Server, Vec<u8>), AuthError> {
        let random = Password::random();
        let request = CredentialRequest::deserialize(first.m1)?;
        let setup = ServerSetup::<Suite>::new(&mut OsRng);
        let record = record(&setup, password.unwrap_or(&random), &transcript)?;
        let parameters =
            ServerLoginParameters { context: Some(&transcript.0), identifiers: transcript.identifiers() };
        let start = ServerLogin::start(&mut OsRng, &setup, Some(record), request, &transcript.0, parameters)?;
        let message = start.message.serialize().to_vec();
        Ok((Server { state: start.state, transcript, known: password.is_some() }, message))
    }

    /// Checks `m3`, which proves that the client knows the password; returns the key.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: it does not. The connection ends.
    pub fn finish(self, message: &[u8]) -> Result<SessionKey, AuthError> {
        let finalization = CredentialFinalization::deserialize(message)?;
        let parameters = ServerLoginParameters {
            context: Some(&self.transcript.0),
            identifiers: self.transcript.identifiers(),
        };
        let mut finish = self.state.finish(finalization, parameters)?;
        let key = SessionKey::derive(&mut finish.session_key);
        if self.known { Ok(key) } else { Err(AuthError) }
    }
}

/// What a client would have left with the server when it chose its password: made here, by both parts.
fn record(
    setup: &ServerSetup<Suite>,
    password: &Password,
    transcript: &Transcript,
) -> Result<ServerRegistration<Suite>, AuthError> {
    let client = ClientRegistration::<Suite>::start(&mut OsRng, &password.0)?;
    let response = ServerRegistration::<Suite>::start(setup, client.message, &transcript.0)?;
    let parameters = ClientRegistrationFinishParameters::new(transcript.identifiers(), None);
    let finish = client.state.finish(&mut OsRng, &password.0, response.message, parameters)?;
    Ok(ServerRegistration::finish(finish.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.as_bytes().to_vec()).unwrap()
    }

    fn transcript() -> Transcript {
        Transcript::new(b"hello c", b"hello s", b"module", b"ann")
    }

    fn answer(
        password: Option<&Password>,
        message: &[u8],
        transcript: Transcript,
    ) -> Result<(Server, Vec<u8>), AuthError> {
        Server::answer(password, &First::parse(message)?, transcript)
    }

    /// A login of a client with `mine` at a server with `theirs`: what each side gets.
    fn login(
        mine: &str,
        theirs: Option<&str>,
        at_server: Transcript,
    ) -> (Result<SessionKey, AuthError>, Option<Result<SessionKey, AuthError>>) {
        let (client, m1) = Client::start(b"ann", password(mine), transcript()).unwrap();
        let theirs = theirs.map(password);
        let (server, m2) = answer(theirs.as_ref(), &m1, at_server).unwrap();
        match client.finish(&m2) {
            Ok((key, m3)) => (Ok(key), Some(server.finish(&m3))),
            Err(error) => (Err(error), None),
        }
    }

    #[test]
    fn the_same_password_gives_both_sides_the_same_key_and_each_login_another() {
        let keys: Vec<SessionKey> = (0..2)
            .map(|_| {
                let (mine, theirs) = login("secret", Some("secret"), transcript());
                let (mine, theirs) = (mine.unwrap(), theirs.unwrap().unwrap());
                assert_eq!(mine.bytes(), theirs.bytes());
                mine
            })
            .collect();
        assert_ne!(keys[0].bytes(), keys[1].bytes());
    }

    #[test]
    fn the_client_stops_at_a_wrong_password_an_unknown_user_and_a_changed_hello() {
        for (theirs, at_server) in [
            (Some("Secret"), transcript()),
            (None, transcript()),
            (Some("secret"), Transcript::new(b"hello c", b"hello X", b"module", b"ann")),
            (Some("secret"), Transcript::new(b"hello c", b"hello s", b"modul", b"eann")),
        ] {
            let (mine, theirs) = login("secret", theirs, at_server);
            assert!(mine.is_err() && theirs.is_none());
        }
    }

    #[test]
    fn a_client_that_goes_on_all_the_same_is_not_let_in() {
        let (_, m1) = Client::start(b"ann", password("guess"), transcript()).unwrap();
        let (server, m2) = answer(Some(&password("secret")), &m1, transcript()).unwrap();
        assert!(server.finish(&[0; 64]).is_err());
        // Not with what another login was finished with either.
        let (other, m1) = Client::start(b"ann", password("secret"), transcript()).unwrap();
        let (_, other_m2) = answer(Some(&password("secret")), &m1, transcript()).unwrap();
        let (_, m3) = other.finish(&other_m2).unwrap();
        let (_, m1) = Client::start(b"ann", password("secret"), transcript()).unwrap();
        let (server, _) = answer(Some(&password("secret")), &m1, transcript()).unwrap();
        assert!(server.finish(&m3).is_err());
        assert_ne!(m2, other_m2);
    }

    #[test]
    fn an_answer_to_an_unknown_user_has_the_form_of_any_other() {
        let (_, m1) = Client::start(b"ann", password("x"), transcript()).unwrap();
        let known = answer(Some(&password("secret")), &m1, transcript()).unwrap().1;
        let unknown = answer(None, &m1, transcript()).unwrap().1;
        assert_eq!(known.len(), unknown.len());
    }

    #[test]
    fn any_changed_byte_of_any_message_fails_the_login() {
        let flip = |message: &[u8], at: usize| {
            let mut changed = message.to_vec();
            changed[at] ^= 1;
            changed
        };
        let (client, m1) = Client::start(b"ann", password("secret"), transcript()).unwrap();
        let secret = password("secret");
        for at in (4..m1.len()).step_by(23) {
            let answer = answer(Some(&secret), &flip(&m1, at), transcript());
            let (client, _) = Client::start(b"ann", secret.clone(), transcript()).unwrap();
            assert!(answer.is_err() || client.finish(&answer.unwrap().1).is_err());
        }
        let (server, m2) = answer(Some(&secret), &m1, transcript()).unwrap();
        let again =
            || Client { state: client.state.clone(), password: secret.clone(), transcript: transcript() };
        for at in (0..m2.len()).step_by(23) {
            assert!(again().finish(&flip(&m2, at)).is_err(), "byte {at} of m2");
        }
        let (_, m3) = again().finish(&m2).unwrap();
        for at in (0..m3.len()).step_by(9) {
            let server = Server { state: server.state.clone(), transcript: transcript(), known: true };
            assert!(server.finish(&flip(&m3, at)).is_err(), "byte {at} of m3");
        }
        for message in [&m1[..], &m2, &m3] {
            for cut in [0, 1, message.len() - 1] {
                assert!(answer(Some(&secret), &message[..cut], transcript()).is_err());
                assert!(again().finish(&message[..cut]).is_err());
            }
        }
    }

    #[test]
    fn the_first_message_says_who_and_only_whole_names_pass() {
        let (_, message) = Client::start(b"ann", password("x"), transcript()).unwrap();
        assert_eq!(First::parse(&message).unwrap().user, b"ann");
        for bad in [&b""[..], &[0], &[0, 1, 2], &[3, b'a', b'n']] {
            assert!(First::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Client::start(b"", password("x"), transcript()).is_err());
        assert!(Client::start(&[b'a'; 256], password("x"), transcript()).is_err());
    }

    #[test]
    fn passwords_and_keys_do_not_show() {
        assert_eq!(format!("{:?}", password("secret")), "Password(…)");
        let (key, _) = login("a", Some("a"), transcript());
        assert_eq!(format!("{:?}", key.unwrap()), "SessionKey(…)");
        assert!(Password::new(Vec::new()).is_none() && Password::new(vec![1; 1025]).is_none());
    }
}
