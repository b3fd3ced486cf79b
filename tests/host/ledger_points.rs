//! Data points of sales: one for each, as Analytics Engine takes them.

use edge402::settlement::Sale;
use serde_json::{Value, json};

use crate::sim::{Payment, Setup, World};

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn each_sale_is_one_point_however_often_it_is_asked_for() {
    let world = World::new(&Setup::default());
    let payments: Vec<_> = (0..3).map(|number| Payment::new(number, number, 600)).collect();
    for payment in &payments {
        assert!(world.buy_now(payment, "/r/a").is_delivery());
        assert!(world.buy_now(payment, "/r/a").is_delivery());
    }
    let refused = Payment::new(9, 9, 600);
    world.chain.borrow_mut().cancel(&refused);
    assert!(!world.buy_now(&refused, "/r/a").is_delivery());
    world.run_for(120_000);
    let query = edge402::settlement::SalesQuery { limit: 10, ..Default::default() };
    let mut sales = world.settler().sales(&query).unwrap();
    sales.reverse();
    let points: Vec<Value> = world.clock.points.borrow().iter().map(|it| read(it)).collect();
    assert_eq!(points.len(), 3);
    for (sale, point) in sales.iter().zip(&points) {
        let fee: f64 = sale.fee.as_ref().unwrap().parse().unwrap();
        let expected = json!({
            "indexes": ["/r/*"],
            "blobs": [
                "/r/*", "/r/a", "GET", "eip155:84532", sale.asset, sale.payer, sale.transaction,
                sale.payment, "gate",
            ],
            "doubles": [10_000.0, fee, 2.0],
        });
        assert_eq!(*point, expected);
    }
}

#[test]
fn what_is_not_known_is_empty_and_no_text_is_too_long() {
    let text = json!({
        "time": 1, "amount": "340282366920938463463374607431768211455", "payer": "0x1",
        "transaction": "", "payment": "p", "route": "/ä".repeat(2_000), "path": "/ä".repeat(1_000),
    });
    let sale: Sale = edge402::json::from_text(&text.to_string()).unwrap();
    let point = read(&sale.data_point());
    let [route, path, rest @ ..] = point["blobs"].as_array().unwrap().as_slice() else { panic!() };
    // A letter of two bytes is not cut in two.
    assert_eq!(point["indexes"], json!(["/ä".repeat(32)]));
    for text in [route, path] {
        assert!((1_697..=1_700).contains(&text.as_str().unwrap().len()));
    }
    assert_eq!(
        rest,
        [json!(""), json!(""), json!(""), json!("0x1"), json!(""), json!("p"), json!("")]
    );
    assert_eq!(point["doubles"], json!([2_f64.powi(128), 0.0, 0.0]));
    let all: usize =
        point["blobs"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().len()).sum();
    assert!(all <= 16 * 1_024);
}
