import COSE
import Envelope
import OSCORE
import Wire

// The EDHOC credentials of a member are what its peer record says of it, so that none of them goes over the air: a claims
// set of its key-agreement key, named by the short address, or its certificate, named by hash (RFC 9528, 3.5).

extension Member {
  /// The claims set that stands for the member in EDHOC methods with static Diffie-Hellman keys; its `kid` is the short
  /// address.
  public var agreementCredential: EDHOCCredential? {
    try? EDHOCCredential(point: agreementKey.point, keyID: address.short.bytes)
  }

  /// The certificate that stands for the member in EDHOC methods with signatures.
  public var signatureCredential: EDHOCCredential? {
    try? EDHOCCredential(certificate: identity.certificate, point: identity.signingPoint)
  }
}

extension Identity {
  /// What this identity authenticates with: its certificate by SHA-256/64 if it `signs`, else its claims set by `kid`.
  func edhocIdentity(signs: Bool) -> EDHOCIdentity? {
    if signs {
      guard
        let credential = try? EDHOCCredential(certificate: self.public.certificate, point: self.public.signingPoint),
        let identifier = credential.byReference(truncated: true)
      else { return nil }
      return try? EDHOCIdentity(credential, identifiedBy: identifier, key: .signature(signingKey))
    }
    let keyID = address.short.bytes
    guard let credential = try? EDHOCCredential(point: agreementPoint, keyID: keyID) else { return nil }
    return try? EDHOCIdentity(credential, identifiedBy: .keyID(keyID), key: .staticDH(agreementKey))
  }
}

/// The members with whom keys may be agreed: whom the newest peer record has, as far as they are of interest.
public struct MemberRoster: Sendable {
  private var byShortAddress: [Address.Short: [Member]]

  public init(_ members: some Sequence<Member>) {
    byShortAddress = Dictionary(grouping: members) { $0.address.short }
  }

  /// All of them, in no order.
  public var members: [Member] { byShortAddress.values.flatMap { $0 } }

  /// The member with this address.
  public subscript(address: Address) -> Member? {
    byShortAddress[address.short]?.first { $0.address == address }
  }

  /// The credentials that an ID_CRED may mean, and whose they are. A credential that comes by value is nobody's, whatever
  /// it says: only the peer record makes a member.
  func candidates(for identifier: EDHOCCredentialIdentifier) -> [(member: Member, credential: EDHOCCredential)] {
    switch identifier {
    case .keyID(let kid): return found(Address.Short(kid)) { $0.agreementCredential }
    case .certificateHash(COSEAlgorithm(rawValue: -15), let hash):
      return found(Address.Short(hash)) { $0.signatureCredential }
    case .certificateHash(COSEAlgorithm(rawValue: -16), let hash):
      guard let address = Address(hash) else { return [] }
      return found(address.short) { $0.signatureCredential }.filter { $0.member.address == address }
    default: return []
    }
  }

  private func found(
    _ short: Address.Short?, _ credential: (Member) -> EDHOCCredential?
  ) -> [(member: Member, credential: EDHOCCredential)] {
    (short.flatMap { byShortAddress[$0] } ?? []).compactMap { member in credential(member).map { (member, $0) } }
  }
}
