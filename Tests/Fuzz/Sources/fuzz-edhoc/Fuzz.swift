import COSE
import Crypto
import Foundation
import OSCORE
import Wire

/// Keys that no run changes, so that a finding is found again.
func key(_ byte: UInt8) -> P256.KeyAgreement.PrivateKey {
  try! P256.KeyAgreement.PrivateKey(rawRepresentation: [UInt8](repeating: byte, count: 32))
}

func identity(_ byte: UInt8) -> EDHOCIdentity {
  let credential = try! EDHOCCredential(point: key(byte).publicKey.point, keyID: [byte])
  return try! EDHOCIdentity(credential, identifiedBy: .keyID([byte]), key: .staticDH(key(byte)))
}

let profile = EDHOCProfile(
  methods: [.signature, .signatureAndStaticDH, .staticDHAndSignature, .staticDH], message4: .required)
let initiatorIdentity = identity(1)
let responderIdentity = identity(2)

/// An Initiator that sent message_1, and the Responder that answered it, with both messages.
let honest: (initiator: EDHOCInitiator, message1: [UInt8], responder: EDHOCResponder, message2: [UInt8]) = {
  var initiator = try! EDHOCInitiator(
    profile: profile, connectionIdentifier: EDHOCConnectionIdentifier([5]), ephemeralKey: key(3))
  var responder = EDHOCResponder(profile: profile)
  let message1 = try! initiator.composeMessage1()
  try! responder.processMessage1(message1)
  let message2 = try! responder.composeMessage2(
    identity: responderIdentity, connectionIdentifier: EDHOCConnectionIdentifier([6]), ephemeralKey: key(4),
    ead: [EDHOCEADItem(label: 9, value: [UInt8](repeating: 0, count: 60))])
  return (initiator, message1, responder, message2)
}()

/// What parses is emitted as the bytes that it was parsed from.
func roundTrip<T: WireValue & Equatable>(_: T.Type, _ bytes: [UInt8]) {
  guard let value = try? T(parsing: bytes) else { return }
  precondition(value.encodedLength == bytes.count)
  guard let emitted = try? value.encoded() else { preconditionFailure("\(value) parsed and has no encoding") }
  precondition(emitted == bytes)
  precondition((try? T(parsing: emitted)) == value)
}

func parse(_ bytes: [UInt8]) {
  roundTrip(EDHOCMessage1.self, bytes)
  roundTrip(EDHOCMessage2.self, bytes)
  roundTrip(EDHOCMessage3.self, bytes)
  roundTrip(EDHOCMessage4.self, bytes)
  roundTrip(EDHOCErrorMessage.self, bytes)
  roundTrip(EDHOCConnectionIdentifier.self, bytes)
  roundTrip(EDHOCRequestPayload.self, bytes)
  roundTrip(EDHOCCombinedPayload.self, bytes)
  if let name = try? EDHOCCredentialIdentifier(headerMap: bytes) { precondition((try? name.headerMap()) == bytes) }
  if let credential = try? EDHOCCredential(claimsSet: bytes) { precondition(credential.encoded == bytes) }
}

/// A Responder with any message_1, and then with any message_3.
func responder(_ bytes: [UInt8]) {
  var responder = EDHOCResponder(profile: profile)
  guard (try? responder.processMessage1(bytes)) != nil else {
    precondition(responder.hasFailed && responder.session == nil)
    return
  }
  _ = try? responder.composeMessage2(
    identity: responderIdentity, connectionIdentifier: EDHOCConnectionIdentifier([6]), ephemeralKey: key(4))
}

func message3(_ bytes: [UInt8]) {
  var responder = honest.responder
  // Nobody but the owner of the keys makes a message_3 that can be opened.
  precondition((try? responder.processMessage3(bytes)) == nil)
  precondition(responder.hasFailed && responder.session == nil)
}

/// An Initiator with any message_2. Only the honest one is believed.
func initiator(_ bytes: [UInt8]) {
  var initiator = honest.initiator
  let isClaim = (try? initiator.processMessage2(bytes)) != nil
  let isBelieved = (try? initiator.authenticate([initiatorIdentity.credential, responderIdentity.credential])) != nil
  precondition(isBelieved == (bytes == honest.message2) && (isClaim || !isBelieved))
  precondition(initiator.hasFailed || isBelieved)
  precondition(initiator.session == nil)
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let data, count > 0 else { return 0 }
  let bytes = [UInt8](UnsafeBufferPointer(start: data + 1, count: count - 1))
  switch data.pointee % 5 {
  case 0: parse(bytes)
  case 1: responder(bytes)
  case 2: message3(bytes)
  case 3: initiator(bytes)
  default:
    // What is encrypted by XOR can be changed behind the encryption: the input is what differs from the honest message.
    var message = honest.message2
    let start = 2 + EDHOCMessage2.ephemeralKeyLength
    for (index, byte) in bytes.prefix(message.count - start).enumerated() { message[start + index] ^= byte }
    initiator(message)
  }
  return 0
}
