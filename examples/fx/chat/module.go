package chat

import (
	"go.uber.org/fx"

	perchfx "github.com/perch-go/perch/contrib/fx"
)

// Module is what Nest would write as
//
//	@Module({ providers: [History, ChatGateway], exports: [ChatGateway] })
var Module = fx.Module("chat",
	fx.Provide(newHistory, fx.Private),
	perchfx.Provide(NewGateway),
)
