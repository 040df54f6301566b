import COSE
import Wire

/// What became of an envelope (content format 65003): the answer of its recipient, or of the hop that gave up.
///
/// The envelope that carries it names what it answers: ``EnvelopeExtensions/inReplyTo`` and
/// ``EnvelopeExtensions/answerHash``.
public struct Receipt: Hashable, Sendable {
  public enum Outcome: UInt8, CaseIterable, Sendable, Hashable {
    /// The recipient has it and acted on it.
    case delivered = 0
    /// The recipient, or a hop, refused it.
    case rejected = 1
    /// Its lifetime ended before it could be delivered.
    case expired = 2
  }

  public var outcome: Outcome
  /// Why, for people and counters: the name of a drop reason.
  public var reason: String?

  public init(_ outcome: Outcome, reason: String? = nil) {
    self.outcome = outcome
    self.reason = reason
  }

  /// A rejection for `reason`.
  public static func rejected(_ reason: DropReason) -> Receipt { Receipt(.rejected, reason: reason.name) }
}

extension Receipt: CBORItem {
  /// Throws ``DropReason/reservedValue`` for another outcome, ``DropReason/envelopeStructure`` for another key or
  /// none.
  @_lifetime(reader: copy reader)
  public init(reading reader: inout CBORReader) throws(ParseError) {
    var outcome: Outcome?
    var reason: String?
    var map = try reader.map()
    while try reader.nextKey(in: &map) {
      let position = reader.offset
      switch try reader.unsigned() {
      case 1:
        guard let known = UInt8(exactly: try reader.unsigned()).flatMap(Outcome.init(rawValue:)) else {
          throw ParseError(.reservedValue, at: position)
        }
        outcome = known
      case 2: reason = try reader.text()
      default: throw ParseError(.envelopeStructure, at: position)
      }
    }
    guard let outcome else { throw reader.error(.envelopeStructure) }
    self.init(outcome, reason: reason)
  }

  public func write(to writer: inout CBORWriter) throws(EmitError) {
    writer.map(reason == nil ? 1 : 2)
    writer.unsigned(1)
    writer.unsigned(UInt64(outcome.rawValue))
    if let reason {
      writer.unsigned(2)
      writer.text(reason)
    }
  }
}
