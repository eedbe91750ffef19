//! Every peer that misbehaves ends its own connection, if any, and disturbs nobody.

use super::support::hostile::{ALL, Attacker, End, limits};
use super::support::peer::wire::Msg;
use super::support::stage::{CALLER, Stage};

#[test]
fn a_hostile_peer_ends_only_its_own_connection() {
    for misbehaviour in ALL {
        let mut stage = Stage::new(limits());
        stage.honest_round();
        let mut attacker = Attacker::enter(&mut stage);
        (misbehaviour.play)(&mut attacker);
        let (conn, honest_call) = (attacker.conn, attacker.honest_call);
        stage.honest_round();
        let name = misbehaviour.name;
        let aborted = matches!(stage.said[&conn].last(), Some(Msg::Abort(_)));
        match misbehaviour.end {
            End::Abort => {
                assert_eq!(stage.closed.get(&conn), Some(&true), "{name}: its connection ends");
                assert!(aborted, "{name}: it is told why");
                assert!(
                    stage.honest[CALLER].answered.contains_key(&honest_call),
                    "{name}: nobody waits for it"
                );
            }
            End::Nothing => {
                assert!(!aborted && !stage.closed.contains_key(&conn), "{name}: it is let be");
            }
        }
        stage.end(&[conn]);
    }
}
