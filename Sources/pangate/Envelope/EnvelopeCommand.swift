import ArgumentParser

/// `pangate envelope`: look into envelopes.
struct EnvelopeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "envelope",
    abstract: "Look into envelopes: the signed messages that Pangate carries.",
    discussion: """
      EXAMPLES
        pangate envelope inspect Config/demo/access-list.cose --certificate Config/demo/oracle.pem
        pangate envelope inspect Config/demo/peer-record-owner.cose --identity Config/demo/owner.pem
        pangate envelope inspect message.hex --identity owner.pem --peers peer-record-owner.cose --json

      \(Exit.help)
      """,
    subcommands: [EnvelopeInspect.self])
}
