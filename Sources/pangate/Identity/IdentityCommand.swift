import ArgumentParser

/// `pangate identity`: make, show and print identities.
struct IdentityCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "identity",
    abstract: "Make and show identities: certificate, signing key, key-agreement key.",
    discussion: """
      An identity file holds three PEM blocks: CERTIFICATE, PRIVATE KEY (signing), PRIVATE KEY (key agreement).
      The address of an identity is the SHA-256 of its certificate.

      EXAMPLES
        pangate identity new --name lock -o lock.pem
        pangate identity show lock.pem
        pangate identity qr lock.pem --class auth-only

      \(Exit.help)
      """,
    subcommands: [IdentityNew.self, IdentityShow.self, IdentityQR.self])
}
