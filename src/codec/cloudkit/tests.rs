use bytes::Bytes;

use super::*;

const LIMIT: usize = 1 << 16;

#[test]
fn frames_are_cut_at_their_lengths() {
    let body = Bytes::from_static(b"\x01a\x00\x83\x00bcd");

    let cut = frames(&body).unwrap();

    assert_eq!(cut, [&b"a"[..], b"", b"bcd"]);
    assert_eq!(frames(&Bytes::new()), Ok(Vec::new()));
}

#[test]
fn a_broken_frame_names_its_place_and_allocates_nothing() {
    let table: [(&[u8], FrameError); 5] = [
        (b"\x01a\x05bc", FrameError::Truncated { offset: 2 }),
        (b"\x01a\x80", FrameError::Length { offset: 2 }),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            FrameError::Length { offset: 0 },
        ),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            FrameError::Length { offset: 0 },
        ),
        (
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            FrameError::TooLarge {
                offset: 0,
                limit: crate::base::limits::CLOUDKIT_FRAME_BYTES,
            },
        ),
    ];

    for (body, error) in table {
        assert_eq!(frames(&Bytes::from_static(body)), Err(error));
    }
}

#[test]
fn a_body_of_empty_frames_ends_at_the_limit() {
    let limit = crate::base::limits::CLOUDKIT_FRAMES;

    let body = Bytes::from(vec![0; limit + 1]);

    assert_eq!(frames(&body), Err(FrameError::TooMany { limit }));
}

#[test]
fn operations_survive_their_framing() {
    let operation = |id: &str| ResponseOperation {
        operation: Some(Operation {
            id: Some(id.to_owned()),
            kind: Some(OperationKind::RetrieveChanges.number()),
            ..Operation::default()
        }),
        ..ResponseOperation::default()
    };
    let answers = [operation("A"), operation("B")];

    let read = decode_responses(&encode_responses(&answers).into()).unwrap();

    assert_eq!(read, answers);
    assert_eq!(read[1].id(), "B");
}

#[test]
fn gzip_comes_back_as_it_was() {
    let text = b"abc".repeat(5_000);
    let mut inflater = Inflater::default();

    for plain in [&text[..], b"", b"x"] {
        assert_eq!(
            inflater.inflate(&deflate(plain), LIMIT).as_deref(),
            Ok(plain)
        );
    }
}

#[test]
fn gzip_with_every_part_of_a_header_is_read() {
    let member = deflate(b"text");
    let mut long = member[..10].to_vec();
    long[3] = 0x1e;
    long.extend_from_slice(b"\x02\x00ex name\0comment\0\x12\x34");
    long.extend_from_slice(&member[10..]);

    assert_eq!(
        Inflater::default().inflate(&long, LIMIT),
        Ok(b"text".to_vec())
    );
}

#[test]
fn gzip_that_is_cut_off_changed_or_too_large_is_refused() {
    let text = b"abc".repeat(500);
    let member = deflate(&text);
    let mut changed = member.clone();
    let last = changed.len() - 5;
    changed[last] ^= 1;
    let mut inflater = Inflater::default();

    for end in 10..member.len() {
        let error = inflater.inflate(&member[..end], LIMIT).unwrap_err();
        assert_eq!(error, GzipError::Truncated, "{end}");
    }
    assert_eq!(inflater.inflate(b"plain", LIMIT), Err(GzipError::NotGzip));
    assert_eq!(inflater.inflate(&changed, LIMIT), Err(GzipError::Damaged));
    assert_eq!(
        inflater.inflate(&member, 1_499),
        Err(GzipError::TooLarge { limit: 1_499 })
    );
    assert_eq!(inflater.inflate(&member, 1_500), Ok(text));
}

#[test]
fn a_field_of_another_type_is_passed_over_and_the_rest_is_read() {
    // 2 as a varint, 3 as text, 9 as text, 15 as a varint, 99 unknown.
    let bytes = b"\x10\x07\x1a\x02hi\x4a\x01x\x78\xd0\x0f\x9a\x06\x00";

    let part = MessagePart::decode(bytes).unwrap();

    let expected = MessagePart {
        text: Some("hi"),
        associated_type: Some(2_000),
        misfits: 2,
        ..MessagePart::default()
    };
    assert_eq!(part, expected);
}

#[test]
fn every_wire_type_is_walked_over() {
    let bytes = b"\x09\x01\0\0\0\0\0\0\0\x15\x02\0\0\0\x1b\x20\x05\x1b\x1c\x1c\x22\x01a";

    let fields: Result<Vec<_>, _> = WireFields::new(bytes).collect();

    assert_eq!(
        fields.unwrap(),
        [
            (1, Wire::Fixed64(1)),
            (2, Wire::Fixed32(2)),
            (3, Wire::Group),
            (4, Wire::Bytes(b"a"))
        ]
    );
}

#[test]
fn what_is_no_message_ends_at_its_offset() {
    let table: [(&[u8], usize); 7] = [
        (b"\x08", 1),
        (b"\x0a\x01a\x12\x05b", 4),
        (b"\x00\x00", 0),
        (b"\x0f\x00", 1),
        (b"\x1b\x14", 1),
        (b"\x0c", 1),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1),
    ];

    for (bytes, offset) in table {
        let end = WireFields::new(bytes).last().unwrap();
        assert_eq!(end.unwrap_err().offset, offset, "{bytes:?}");
    }
    let deep = b"\x1b".repeat(crate::base::limits::GROUP_NESTING + 1);
    assert!(WireFields::new(&deep).all(|field| field.is_err()));
}

#[test]
fn the_reaction_to_an_error_goes_by_its_numbers() {
    let result = |client: Option<i32>, server: Option<i32>, after| OperationResult {
        code: Some(3),
        error: Some(OperationError {
            client: client.map(|kind| Code { kind: Some(kind) }),
            server: server.map(|kind| Code { kind: Some(kind) }),
            retry_after_seconds: after,
            ..OperationError::default()
        }),
    };
    let wait = |seconds: Option<u64>| Failure::Wait {
        after: seconds.map(std::time::Duration::from_secs),
    };
    let table = [
        (result(Some(6), None, Some(30)), wait(Some(30))),
        (result(None, Some(7), None), wait(None)),
        (result(Some(11), None, None), Failure::Reauthenticate),
        (result(Some(40), None, Some(1)), Failure::Reset),
        (result(Some(59), None, None), Failure::ZoneGone),
        (result(Some(53), None, None), Failure::KeysChanged),
        (result(Some(4), None, None), Failure::Permanent),
        (result(Some(9_999), None, Some(5)), wait(Some(5))),
        (result(None, None, Some(-1)), Failure::Permanent),
    ];

    for (result, failure) in table {
        assert_eq!(reaction(Some(&result)), Some(failure), "{result:?}");
    }
    let success = OperationResult {
        code: Some(1),
        error: None,
    };
    assert_eq!(reaction(Some(&success)), None);
    assert_eq!(reaction(None), Some(wait(None)));
}

#[test]
fn what_a_record_holds_does_not_reach_a_log() {
    let value = Value {
        string: Some("secret".to_owned()),
        ..Value::default()
    };
    let part = MessagePart {
        text: Some("secret"),
        ..MessagePart::default()
    };
    let header = NamedHeader {
        name: Some("a".to_owned()),
        value: Some("secret".to_owned()),
    };

    let printed = format!("{:?} {part:?} {header:?}", Field::new("guid", value));

    assert!(!printed.contains("secret"), "{printed}");
}
